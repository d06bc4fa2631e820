/** A request and its answer as plain data: the handler knows no socket, and tests need none. */

export type RestRequest = {
  /** HTTP method in capitals. */
  method: string;
  /** Path and query as they came. */
  target: string;
  /** Names in lower case; a repeated header's values joined by comma. */
  headers: Readonly<Record<string, string | undefined>>;
  /**
   * The whole body.
   * @throws IotError `request.too_large` as soon as more than `bytesMax` are announced or have come
   */
  readBody(bytesMax: number): Promise<Uint8Array>;
  /** The peer, for logs only, e.g. `127.0.0.1:50312`. */
  address: string;
  /** Whether the peer is on this machine. */
  isLoopback: boolean;
  /** Aborts when the client went away, or when the hub cannot wait any longer (its reason is then an `IotError`). */
  signal: AbortSignal;
};

export type RestResponse = {
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  body: string | undefined;
};

const jsonType = "application/json; charset=utf-8";

/** An answer with a JSON body. Keys may be in it, so no cache may keep it. */
export const jsonResponse = (
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): RestResponse => ({
  status,
  headers: { "content-type": jsonType, "cache-control": "no-store", ...headers },
  body: JSON.stringify(value),
});

export const emptyResponse = (status: number): RestResponse => ({
  status,
  headers: {},
  body: undefined,
});

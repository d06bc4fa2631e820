/** What a request is, as far as this client goes. */
export type FetchInit = {
  method: string;
  headers: Record<string, string>;
  body?: string;
  signal: AbortSignal;
};

/** What is read of an answer. */
export type FetchAnswer = {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
};

/**
 * How requests leave: a browser's or Node's own `fetch`, or `createNodeFetch` of `@hubwire/service/node`, which takes a CA.
 * It rejects when there is no answer.
 */
export type FetchLike = (url: string, init: FetchInit) => Promise<FetchAnswer>;

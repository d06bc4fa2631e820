/** What TLS tells about the peer's certificate; plain data, so that it can cross a thread or a network. */
export type PeerCertificate = {
  /** DER of the leaf. */
  raw: Uint8Array;
  commonName: string | undefined;
  /** Upper-case hex without colons. */
  sha1Thumbprint: string;
  sha256Thumbprint: string;
  validFromMs: number;
  validToMs: number;
  /** DER of the certificates the peer sent above the leaf, nearest first. */
  chain: readonly Uint8Array[];
};

export type PeerInfo = {
  /** For logs only, e.g. `127.0.0.1:50312`. */
  address: string;
  certificate: PeerCertificate | undefined;
  /** e.g. `TLSv1.3`; undefined on streams without TLS (memory, tests). */
  tlsVersion: string | undefined;
  /** The server name the peer asked for (SNI). */
  serverName: string | undefined;
};

export interface StreamHandler {
  /** Bytes arrived. The array belongs to the receiver and is never overwritten. */
  onBytes(bytes: Uint8Array): void;
  /** `bufferedBytes` fell below the low mark after `write` had returned false. */
  onDrain(): void;
  /** The stream ended: by the peer, by `end`/`destroy`, or by `error`. Called exactly once, last. */
  onClosed(error: Error | undefined): void;
}

/**
 * An ordered, reliable stream of bytes: TLS, plain TCP in tests, memory, and later WebSocket and proxies. This is the one
 * seam between Hubwire and the world of sockets.
 */
export interface ByteStream {
  readonly peer: PeerInfo;
  /** Bytes accepted by `write` and not yet handed to the system. */
  readonly bufferedBytes: number;
  /** Starts reading. Nothing is delivered before. Call once. */
  start(handler: StreamHandler): void;
  /** Takes ownership of `bytes`. False: stop until `onDrain`. Ignored once closed. */
  write(bytes: Uint8Array): boolean;
  pause(): void;
  resume(): void;
  /** Sends what is buffered, then closes; destroys by itself if the peer does not take it in time. */
  end(): void;
  destroy(): void;
}

/** Opens a client stream. Rejects with an `IotError` that tells DNS, refusal, time-out and each kind of certificate trouble apart. */
export type OpenStream = (signal: AbortSignal) => Promise<ByteStream>;

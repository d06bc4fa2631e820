export type * from "./clock.ts";
export type * from "./stream.ts";
export { systemClock } from "./system-clock.ts";
export { VirtualClock } from "./virtual-clock.ts";
export type { RunLimits, VirtualClockOptions } from "./virtual-clock.ts";
export { Driver } from "./driver.ts";
export type { CloseCause, DriverOptions } from "./driver.ts";
export { SocketStream } from "./socket-stream.ts";
export type { SocketStreamOptions } from "./socket-stream.ts";
export { tlsDialer } from "./dial.ts";
export type { Dial, DialTarget, TlsDial, TlsDialerOptions, TlsIdentity } from "./dial.ts";
export { tlsConnector } from "./tls-connector.ts";
export type { TlsConnectorOptions } from "./tls-connector.ts";
export { listen } from "./listen.ts";
export { listenTls } from "./tls-listener.ts";
export type {
  Listener,
  RefusedConnection,
  ServerCredentials,
  TlsListener,
  TlsListenOptions,
} from "./tls-listener.ts";
export { listenTcp, tcpConnector } from "./tcp.ts";
export type { TcpConnectorOptions, TcpListenOptions } from "./tcp.ts";
export { memoryStreamPair } from "./memory-stream.ts";
export type { MemoryStreamOptions } from "./memory-stream.ts";

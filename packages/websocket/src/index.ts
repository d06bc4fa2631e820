export { webSocket } from "./web-socket.ts";
export type { WebSocketOptions } from "./web-socket.ts";
export { auto } from "./auto.ts";
export type { AutoOptions } from "./auto.ts";

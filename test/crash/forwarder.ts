import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/** One port that leads to a hub wherever it is now: a restarted hub listens elsewhere. */
export class Forwarder {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Undefined: nobody is there. */
  target: number | undefined;

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket) => this.#forward(socket));
  }

  static async listen(): Promise<Forwarder> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Forwarder(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #forward(socket: Socket): void {
    if (this.target === undefined) return void socket.destroy();
    const onward = connect(this.target, "127.0.0.1");
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}

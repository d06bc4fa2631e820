import { connect, type TLSSocket } from "node:tls";

export type HttpAnswer = { status: number; continuation: string | undefined; body: string };
type Waiting = (answer: HttpAnswer) => void;

/** HTTP/1.1 on one kept connection, one request at a time: as little work as a client can do. */
export class HttpConnection {
  readonly #socket: TLSSocket;
  readonly #authorization: string;
  #carry: Buffer = Buffer.alloc(0);
  #waiting: Waiting | undefined;

  private constructor(socket: TLSSocket, authorization: string) {
    this.#socket = socket;
    this.#authorization = authorization;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
  }

  static open(port: number, ca: string, authorization: string): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ca });
      socket.once("error", reject);
      socket.once("secureConnect", () => resolve(new HttpConnection(socket, authorization)));
    });
  }

  request(
    method: string,
    path: string,
    body: string | undefined,
    answered: Waiting,
    headers = "",
  ): void {
    this.#waiting = answered;
    const length = body === undefined ? "" : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
    const type = body === undefined ? "" : "Content-Type: application/json; charset=utf-8\r\n";
    this.#socket.write(
      `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${this.#authorization}\r\n${type}${length}${headers}\r\n${body ?? ""}`,
    );
  }

  close(): void {
    this.#socket.destroy();
  }

  #received(chunk: Buffer): void {
    const bytes = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    const headEnd = bytes.indexOf("\r\n\r\n");
    const head = headEnd < 0 ? "" : bytes.toString("latin1", 0, headEnd);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (headEnd >= 0 && length === undefined) throw new Error("an answer without length");
    const end = headEnd + 4 + Number(length);
    if (headEnd < 0 || bytes.length < end) {
      this.#carry = bytes;
      return;
    }
    this.#carry = bytes.subarray(end);
    const answered = this.#waiting;
    this.#waiting = undefined;
    answered?.({
      status: Number(head.slice(9, 12)),
      continuation: /\r\nx-ms-continuation: *(\S+)/i.exec(head)?.[1],
      body: bytes.toString("utf8", headEnd + 4, end),
    });
  }
}

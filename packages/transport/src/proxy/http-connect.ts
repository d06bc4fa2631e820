import { IotError } from "@hubwire/protocol";
import { formatAddress } from "../address.ts";
import { printable } from "../printable.ts";
import { describeProxy } from "./proxy-address.ts";
import type { ProxyAddress } from "./proxy-address.ts";
import type { ProxyTalk, TalkStep } from "./proxy-talk.ts";

/** Of the answer's head; as much as Node's own HTTP client takes. */
const headBytesMax = 16_384;
const endOfHead = "\r\n\r\n";
const beginning = "HTTP/1.";

/** Asks for a tunnel by CONNECT (RFC 9110 §9.3.6), with Basic authentication (RFC 7617) when there are credentials. */
export class HttpConnect implements ProxyTalk {
  readonly #proxy: ProxyAddress;
  readonly #target: { host: string; port: number };
  #head = "";

  constructor(proxy: ProxyAddress, target: { host: string; port: number }) {
    this.#proxy = proxy;
    this.#target = target;
  }

  hello(): Uint8Array {
    const authority = formatAddress(this.#target.host, this.#target.port);
    const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`];
    const { credentials } = this.#proxy;
    if (credentials !== undefined) {
      const pair = Buffer.from(`${credentials.username}:${credentials.password}`);
      lines.push(`Proxy-Authorization: Basic ${pair.toString("base64")}`);
    }
    return Buffer.from(`${lines.join("\r\n")}${endOfHead}`);
  }

  receive(bytes: Uint8Array): TalkStep {
    const searchFrom = Math.max(0, this.#head.length - endOfHead.length);
    this.#head += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    const compared = Math.min(this.#head.length, beginning.length);
    if (this.#head.slice(0, compared) !== beginning.slice(0, compared)) {
      throw this.#error("transport.proxy_protocol", "does not answer in HTTP");
    }
    const end = this.#head.indexOf(endOfHead, searchFrom);
    if (end > headBytesMax || (end < 0 && this.#head.length > headBytesMax)) {
      const what = `answered with a head of more than ${headBytesMax} bytes`;
      throw this.#error("transport.proxy_protocol", what);
    }
    if (end < 0) return { type: "wait" };
    this.#checkAnswer(this.#head.slice(0, end));
    if (this.#head.length > end + endOfHead.length) {
      // The other side of a tunnel never speaks first: this is no tunnel.
      throw this.#error("transport.proxy_protocol", "sent more than an answer to CONNECT");
    }
    return { type: "open" };
  }

  #checkAnswer(head: string): void {
    const match = /^HTTP\/1\.[01] ([1-5]\d\d)(?: ([^\r\n]*))?(?:\r\n|$)/.exec(head);
    if (match === null) throw this.#error("transport.proxy_protocol", "sent no HTTP status line");
    const [, status = "", reason = ""] = match;
    if (status.startsWith("2")) return;
    // Not only 407: tinyproxy answers wrong credentials with 401.
    if (status === "407" || status === "401")
      throw this.#error("transport.proxy_auth", this.#whyNoEntry(head));
    const { host, port } = this.#target;
    const words = printable(`${status} ${reason}`);
    const what = `does not connect to ${formatAddress(host, port)}: it answered ${words}`;
    throw this.#error("transport.proxy_refused", what);
  }

  #whyNoEntry(head: string): string {
    const offers = [...head.matchAll(/^proxy-authenticate: *([\w-]+)/gim)].map(([, name]) => name);
    const wants = offers.length === 0 ? "" : ` (it offers ${printable(offers.join(", "))})`;
    if (this.#proxy.credentials === undefined) return `wants a user name and a password${wants}`;
    return `refused the user name and password, sent as Basic${wants}`;
  }

  #error(
    code: "transport.proxy_auth" | "transport.proxy_protocol" | "transport.proxy_refused",
    what: string,
  ): IotError {
    return new IotError(code, `the ${describeProxy(this.#proxy)} ${what}`);
  }
}

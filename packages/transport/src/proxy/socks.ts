import { isIPv4, isIPv6 } from "node:net";
import { IotError } from "@hubwire/protocol";
import { formatAddress } from "../address.ts";
import { describeProxy } from "./proxy-address.ts";
import type { ProxyAddress } from "./proxy-address.ts";
import type { ProxyTalk, TalkStep } from "./proxy-talk.ts";

const noAuthentication = 0;
const userAndPassword = 2;
const noneAcceptable = 0xff;

/** Reply codes of RFC 1928 §6. */
const replies: Readonly<Record<number, string>> = {
  1: "general SOCKS server failure",
  2: "connection not allowed by its rules",
  3: "network unreachable",
  4: "host unreachable, or its name unknown to the proxy",
  5: "connection refused by the host",
  6: "TTL expired",
  7: "command not supported",
  8: "address type not supported",
};

/**
 * Asks for a tunnel by SOCKS5 (RFC 1928), with user name and password (RFC 1929) when there are any. The proxy resolves names.
 *
 *     greeting ──▶ [authentication] ──▶ request ──▶ open
 */
export class SocksConnect implements ProxyTalk {
  readonly #proxy: ProxyAddress;
  readonly #target: { host: string; port: number };
  readonly #request: Uint8Array;
  #state: "greeting" | "authentication" | "request" = "greeting";
  #received: Uint8Array = new Uint8Array(0);

  /** @throws IotError `argument.invalid` when the name is longer than SOCKS can carry */
  constructor(proxy: ProxyAddress, target: { host: string; port: number }) {
    this.#proxy = proxy;
    this.#target = target;
    this.#request = Uint8Array.of(5, 1, 0, ...addressOf(target.host), ...portOf(target.port));
  }

  hello(): Uint8Array {
    return this.#proxy.credentials === undefined
      ? Uint8Array.of(5, 1, noAuthentication)
      : Uint8Array.of(5, 2, noAuthentication, userAndPassword);
  }

  receive(bytes: Uint8Array): TalkStep {
    // What is kept is part of one answer, of 262 bytes at most: each state takes what is its own or throws.
    this.#received = Buffer.concat([this.#received, bytes]);
    if (this.#state === "request") return this.#replied();
    const [version, choice] = this.#received;
    if (version !== undefined && this.#state === "greeting") this.#checkVersion(version);
    if (choice === undefined) return { type: "wait" };
    if (this.#received.length > 2) throw this.#tooMuch();
    this.#received = new Uint8Array(0);
    return this.#state === "greeting" ? this.#greeted(choice) : this.#authenticated(choice);
  }

  #greeted(method: number): TalkStep {
    const { credentials } = this.#proxy;
    if (method === noAuthentication) return this.#ask();
    if (method === noneAcceptable) {
      const why =
        credentials === undefined
          ? "wants a user name and a password, or does not serve this device"
          : "takes neither user name and password nor nobody";
      throw this.#error("transport.proxy_auth", why);
    }
    if (method !== userAndPassword || credentials === undefined) {
      throw this.#error(
        "transport.proxy_protocol",
        `chose authentication method ${method}, which was not offered`,
      );
    }
    this.#state = "authentication";
    const [name, password] = [Buffer.from(credentials.username), Buffer.from(credentials.password)];
    return {
      type: "write",
      bytes: Uint8Array.of(1, name.length, ...name, password.length, ...password),
    };
  }

  #authenticated(status: number): TalkStep {
    if (status === 0) return this.#ask();
    const why = `refused the user name and password (status ${status})`;
    throw this.#error("transport.proxy_auth", why);
  }

  #ask(): TalkStep {
    this.#state = "request";
    return { type: "write", bytes: this.#request };
  }

  #replied(): TalkStep {
    const [version, reply, , addressType, nameLength] = this.#received;
    if (version !== undefined) this.#checkVersion(version);
    if (reply !== undefined && reply !== 0) throw this.#refused(reply);
    if (addressType === undefined || nameLength === undefined) return { type: "wait" };
    const addressLength = { 1: 4, 3: 1 + nameLength, 4: 16 }[addressType];
    if (addressLength === undefined) {
      const what = `answered with address type ${addressType}, which there is not`;
      throw this.#error("transport.proxy_protocol", what);
    }
    const length = 4 + addressLength + 2;
    // The other side of a tunnel never speaks first: this is no tunnel.
    if (this.#received.length > length) throw this.#tooMuch();
    return { type: this.#received.length === length ? "open" : "wait" };
  }

  #refused(reply: number): IotError {
    const { host, port } = this.#target;
    const words = replies[reply] ?? "a reply that RFC 1928 does not have";
    const what = `does not connect to ${formatAddress(host, port)}: ${words} (reply ${reply})`;
    return this.#error("transport.proxy_refused", what);
  }

  #checkVersion(version: number): void {
    if (version === 5) return;
    const what = `does not answer in SOCKS5 (its first byte is ${version})`;
    throw this.#error("transport.proxy_protocol", what);
  }

  #tooMuch(): IotError {
    return this.#error("transport.proxy_protocol", "sent more than an answer");
  }

  #error(
    code: "transport.proxy_auth" | "transport.proxy_protocol" | "transport.proxy_refused",
    what: string,
  ): IotError {
    return new IotError(code, `the ${describeProxy(this.#proxy)} ${what}`);
  }
}

function addressOf(host: string): number[] {
  if (isIPv4(host)) return [1, ...host.split(".").map(Number)];
  if (isIPv6(host)) return [4, ...ipv6Bytes(host)];
  const name = Buffer.from(host);
  if (name.length > 255) {
    throw new IotError("argument.invalid", "SOCKS5 takes host names of at most 255 bytes");
  }
  return [3, name.length, ...name];
}

const portOf = (port: number): number[] => [port >> 8, port & 0xff];

/** Of a valid address. */
function ipv6Bytes(address: string): number[] {
  const bare = address.replace(/%.*$/, "");
  // URL writes IPv6 in hexadecimal groups only, whatever form it was in.
  const written = new URL(`http://[${bare}]`).hostname.slice(1, -1);
  const [head = "", tail] = written.split("::");
  const [left, right] = [groupsOf(head), groupsOf(tail ?? "")];
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0);
  return [...left, ...zeros, ...right].flatMap((group) => [group >> 8, group & 0xff]);
}

const groupsOf = (text: string): number[] =>
  text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));

import { IotError } from "@hubwire/protocol";

/** A URL, which may carry user name and password (percent-encoded), or the parts. */
export type ProxyOption = string | { url: string; username?: string; password?: string };

export type ProxyAddress = {
  kind: "http" | "https" | "socks5";
  host: string;
  port: number;
  credentials: { username: string; password: string } | undefined;
};

const kinds: Readonly<Record<string, { kind: ProxyAddress["kind"]; port: number }>> = {
  "http:": { kind: "http", port: 80 },
  "https:": { kind: "https", port: 443 },
  // With and without "h": names are always resolved by the proxy, because a device behind one often has no DNS.
  "socks5:": { kind: "socks5", port: 1080 },
  "socks5h:": { kind: "socks5", port: 1080 },
};

/**
 * Reads and checks a proxy option. What is wrong is said without quoting it: a proxy's URL often holds a password.
 * @throws IotError `argument.invalid`
 */
export function parseProxy(option: ProxyOption): ProxyAddress {
  const given = typeof option === "string" ? { url: option } : option;
  const url = parseUrl(given.url);
  const known = kinds[url.protocol];
  if (known === undefined) {
    throw invalid(`proxy begins with http://, https:// or socks5://, not ${url.protocol}//`);
  }
  if (url.hostname === "") throw invalid("proxy names no host");
  if (!/^\/?$/.test(url.pathname) || url.search !== "" || url.hash !== "") {
    throw invalid("proxy is scheme, host and port, without path, query or fragment");
  }
  return {
    kind: known.kind,
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? known.port : Number(url.port),
    credentials: credentialsOf(known.kind, url, given),
  };
}

/** For messages: never with credentials. */
export function describeProxy({ kind, host, port }: ProxyAddress): string {
  return `${kind} proxy ${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function parseUrl(text: unknown): URL {
  // Not `new URL`, whose error carries its input, password and all.
  const url = typeof text === "string" && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw invalid("proxy is a URL such as http://proxy.example:3128");
  return url;
}

function credentialsOf(
  kind: ProxyAddress["kind"],
  url: URL,
  given: { username?: string; password?: string },
): ProxyAddress["credentials"] {
  const username = given.username ?? decoded(url.username);
  const password = given.password ?? decoded(url.password);
  if (username === "" && password === "") return undefined;
  if (username === "") throw invalid("proxy has a password and no user name");
  if (kind === "socks5") {
    // RFC 1929: one byte of length each, and at least one byte of content.
    for (const part of [username, password]) {
      const { length } = Buffer.from(part);
      if (length < 1 || length > 255) {
        throw invalid("SOCKS5 takes a user name and a password of 1 to 255 bytes each");
      }
    }
  } else if (username.includes(":")) {
    throw invalid("an HTTP proxy's user name cannot contain a colon");
  }
  return { username, password };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // No cause: it would quote the text.
    throw invalid("user name and password in a proxy URL are percent-encoded, and these are not");
  }
}

const invalid = (message: string): IotError => new IotError("argument.invalid", message);

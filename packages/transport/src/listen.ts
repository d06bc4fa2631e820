import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import type { AddressInfo, Server } from "node:net";

const causes: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: "hub.port_in_use",
  EACCES: "hub.port_not_permitted",
  EPERM: "hub.port_not_permitted",
  EADDRNOTAVAIL: "hub.address_unavailable",
  EAFNOSUPPORT: "hub.address_unavailable",
  ENOTFOUND: "hub.address_unavailable",
};

/**
 * Lets a server listen; resolves with the port, which is a free one for port 0.
 * @throws IotError `hub.port_in_use`, `hub.port_not_permitted`, `hub.address_unavailable`
 */
export function listen(
  server: Server,
  host: string,
  port: number,
  backlog: number,
): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      const code = causes[error.code ?? ""] ?? "hub.address_unavailable";
      reject(
        new IotError(code, `cannot listen on ${host}:${port}: ${error.message}`, { cause: error }),
      );
    };
    server.once("error", onError);
    server.listen({ host, port, backlog }, () => {
      server.removeListener("error", onError);
      resolve(server.address() as AddressInfo);
    });
  });
}

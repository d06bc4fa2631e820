import { IotError } from "@hubwire/protocol";

/** Where the redirect of a port that cannot be bound may lead. */
const highPortFor = (port: number): number => (port === 443 ? 8443 : port + 10_000);

/**
 * The ways out when a port cannot be had, for whoever may use them, in one sentence; "" when there is nothing to add.
 * @see `man 7 capabilities` (CAP_NET_BIND_SERVICE), `man 7 ip` (ip_unprivileged_port_start)
 */
export function waysOut(error: unknown, port: number, execPath = process.execPath): string {
  if (!(error instanceof IotError)) return "";
  if (error.code === "hub.port_in_use") {
    return ` Another program has ${port} (ss -ltnp "sport = :${port}" names it): stop it, or move this hub to another port.`;
  }
  if (error.code !== "hub.port_not_permitted") return "";
  const high = highPortFor(port);
  return (
    ` To have ${port}, one of: sudo setcap cap_net_bind_service=+ep ${execPath};` +
    ` or sudo sysctl net.ipv4.ip_unprivileged_port_start=${port};` +
    ` or, with the hub on ${high}, sudo iptables -t nat -A OUTPUT -o lo -p tcp --dport ${port} -j REDIRECT --to-ports ${high}.`
  );
}

/** The same error with the ways out behind its message. */
export function withWaysOut(error: unknown, port: number): unknown {
  const ways = waysOut(error, port);
  if (ways === "" || !(error instanceof IotError)) return error;
  const end = error.message.endsWith(".") ? "" : ".";
  return new IotError(error.code, `${error.message}${end}${ways}`, { cause: error });
}

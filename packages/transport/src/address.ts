/** `127.0.0.1:8883`, `[::1]:8883`; IPv4 addresses that came in through an IPv6 socket are written as IPv4. */
export function formatAddress(address: string | undefined, port: number | undefined): string {
  if (address === undefined) return "unknown";
  if (address.startsWith("::ffff:")) return `${address.slice(7)}:${port}`;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

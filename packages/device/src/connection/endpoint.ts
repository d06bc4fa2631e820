import type { DeviceIdentity } from "@hubwire/protocol";

/** Which hub, as which device. One object for a connection's life; provisioning may put another one in its place. */
export type Endpoint = {
  readonly identity: DeviceIdentity;
  /** The hub's name: what tokens and the user name carry. */
  readonly hostName: string;
  /** What to dial, when it is a gateway another name. */
  readonly dialHost: string;
  readonly port: number;
  readonly clientId: string;
  readonly username: string;
};

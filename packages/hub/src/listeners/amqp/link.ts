import type { Need } from "./grants.ts";
import type { OutgoingTransfers } from "./outgoing.ts";
import type { AmqpParts } from "./parts.ts";
import type { IncomingDelivery, RheaMessage, RheaReceiver, RheaSender } from "./rhea.ts";
import type { StreamSocket } from "./stream-socket.ts";
import type { Grants } from "./grants.ts";

/** What a link does, whichever address it is attached to. */
export type LinkService = {
  /** What keeps it attached; undefined for `$cbs`. */
  readonly need: Need | undefined;
  /** A message came in on a link we receive on. `isOversize`: its body was dropped. */
  onMessage?(message: RheaMessage, delivery: IncomingDelivery, isOversize: boolean): void;
  /** There may be credit, window or room on the socket. */
  onRoom?(): void;
  /** The peer wants its credit used up or given back. */
  onDrain?(): void;
  /** The link is gone. */
  dispose?(): void;
};

/** What a link's service may use of its connection. */
export type LinkHost = {
  readonly parts: AmqpParts;
  readonly grants: Grants;
  readonly socket: StreamSocket;
  outgoing(link: RheaSender): OutgoingTransfers;
  /** Our sending link for answers to `replyTo`: the one with that target on the session, or the one from `source`. */
  replyLink(
    request: RheaReceiver,
    source: string,
    replyTo: string | undefined,
  ): RheaSender | undefined;
  /** Detaches a link with an error. */
  detach(link: RheaSender | RheaReceiver, error: unknown): void;
  /** A token was accepted. */
  trusted(): void;
};

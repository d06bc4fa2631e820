import { IotError } from "@hubwire/protocol";
import type { AmqpLimits } from "./limits.ts";
import { isGiven } from "./message-values.ts";
import type { OutgoingTransfers } from "./outgoing.ts";
import type { RheaConnection, RheaSession } from "./rhea.ts";

const none = Buffer.alloc(0);
/** AMQP 1.0 §2.4.1: nobody may announce less. */
const frameBytesMin = 512;
/** A peer that wants empty frames more often than this is sent them this often. */
const idleTimeoutMsMin = 1_000;

/**
 * The bounds rhea does not hold, put before its own handling of each frame: how many sessions and links there are, how
 * large a message grows, credit that wraps, ranges of four billion. What is thrown here ends the connection.
 * @returns receivers whose message under way was too large; its content is dropped and the mark stays until it is complete
 */
export function guardConnection(
  connection: RheaConnection,
  limits: AmqpLimits,
  makeOutgoing: (session: RheaSession) => OutgoingTransfers,
): WeakSet<object> {
  const oversize = new WeakSet<object>();
  const received = new WeakMap<object, number>();
  const base = {
    create_session: connection.create_session.bind(connection),
    on_open: connection.on_open.bind(connection),
    on_begin: connection.on_begin.bind(connection),
    on_attach: connection.on_attach.bind(connection),
    on_flow: connection.on_flow.bind(connection),
    on_disposition: connection.on_disposition.bind(connection),
    on_transfer: connection.on_transfer.bind(connection),
  };
  const linkOf = (channel: number, handle: number) =>
    connection.remote_channel_map[channel]?.remote.handles[handle];

  connection.create_session = (size) => {
    const session = base.create_session(size);
    session.links = Object.create(null) as RheaSession["links"];
    session.outgoing = makeOutgoing(session);
    const createSender = session.create_sender.bind(session);
    session.create_sender = (name) => {
      const sender = createSender(name);
      // rhea gives a drained link's credit back one by one, however many billions there are.
      sender._get_drain = () => false;
      return sender;
    };
    return session;
  };

  connection.on_open = (frame) => {
    const { performative } = frame;
    if (isGiven(performative.max_frame_size) && performative.max_frame_size < frameBytesMin) {
      throw new IotError("amqp.bad_frame", `max-frame-size is at least ${frameBytesMin}`);
    }
    if (performative.idle_time_out) {
      performative.idle_time_out = Math.max(performative.idle_time_out, idleTimeoutMsMin);
    }
    base.on_open(frame);
  };

  connection.on_begin = (frame) => {
    if (!connection.is_remote_open()) throw new IotError("amqp.bad_frame", "begin before open");
    if (Object.keys(connection.local_channel_map).length >= limits.sessionsMax) {
      throw new IotError("amqp.limit", `A connection has at most ${limits.sessionsMax} sessions`);
    }
    base.on_begin(frame);
  };

  connection.on_attach = (frame) => {
    const session = connection.remote_channel_map[frame.channel];
    if (session !== undefined && Object.keys(session.local.handles).length >= limits.linksMax) {
      throw new IotError("amqp.limit", `A session has at most ${limits.linksMax} links`);
    }
    base.on_attach(frame);
  };

  connection.on_flow = (frame) => {
    const { performative } = frame;
    const session = connection.remote_channel_map[frame.channel];
    const { handle } = performative;
    const link = isGiven(handle) ? linkOf(frame.channel, handle) : undefined;
    if (link !== undefined && !link.is_receiver()) {
      // Serial numbers (RFC 1982): what the peer has not counted yet is taken off its credit.
      const behind = (link.delivery_count - (performative.delivery_count ?? 0)) | 0;
      performative.link_credit = Math.max(0, (performative.link_credit ?? 0) - behind);
      performative.delivery_count = link.delivery_count;
    }
    base.on_flow(frame);
    if (performative.echo === true && session !== undefined) session._write_flow(link);
  };

  connection.on_disposition = (frame) => {
    const session = connection.remote_channel_map[frame.channel];
    if (session === undefined) throw new IotError("amqp.bad_frame", "disposition without session");
    // Only what we sent waits for one: what we received is settled by us, at once.
    if (!frame.performative.role) return;
    (session.outgoing as OutgoingTransfers).on_disposition(frame.performative);
    connection._register();
  };

  connection.on_transfer = (frame) => {
    const { performative } = frame;
    const session = connection.remote_channel_map[frame.channel];
    const link = linkOf(frame.channel, performative.handle);
    if (session === undefined || link === undefined || !link.is_receiver()) {
      throw new IotError("amqp.bad_frame", "a transfer without a link to receive it");
    }
    if (link.credit <= 0 && link._incomplete === undefined) {
      throw new IotError("amqp.limit", "A message was sent without credit");
    }
    const incomplete = link._incomplete as { settled: boolean; frames?: Buffer[] } | undefined;
    frame.payload ??= none;
    const bytes = (received.get(link) ?? 0) + frame.payload.length;
    if (performative.aborted === true || bytes > limits.messageBytesMax) {
      oversize.add(link);
      frame.payload = none;
      if (incomplete?.frames !== undefined) incomplete.frames = [none];
    }
    if (performative.aborted === true) performative.more = false;
    received.set(link, performative.more === true ? bytes : 0);
    if (oversize.has(link)) frame.payload = none;
    base.on_transfer(frame);
  };
  return oversize;
}

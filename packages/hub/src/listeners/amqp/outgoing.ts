import { IotError } from "@hubwire/protocol";
import type { DispositionPerformative, FlowPerformative, RheaSender, RheaSession } from "./rhea.ts";
import type { StreamSocket } from "./stream-socket.ts";

/** accepted, rejected, released, modified: AMQP 1.0 §3.4, by their descriptors. */
export type Outcome = "accepted" | "rejected" | "released" | "modified" | "unknown";

type Pending = { link: RheaSender; payload: Buffer; onOutcome: OnOutcome | undefined };
type OnOutcome = (outcome: Outcome) => void;

/** Size and fields of a transfer frame as written here; see `writeHead`. */
export const transferHeadBytes = 33;
const uintMax = 0xffffffff;

/**
 * The sending half of a session, in place of rhea's: rhea makes an object, a timer and a write per transfer, and keeps a
 * ring that one unsettled delivery can block. Here a transfer is 33 bytes before its payload. Deliveries that nobody asks
 * the outcome of are sent settled.
 */
export class OutgoingTransfers {
  /** What rhea's session asks of its outgoing half. */
  readonly deliveries = { available: (): number => uintMax };
  window = uintMax;
  #nextDeliveryId = 0;
  next_transfer_id = 0;
  #remoteNext = 0;
  #remoteWindow = 0;
  readonly #session: RheaSession;
  readonly #socket: StreamSocket;
  readonly #frameBytesMax: () => number;
  readonly #unsettledMax: number;
  readonly #unsettled = new Map<number, { link: RheaSender; onOutcome: OnOutcome }>();
  #pending: Pending[] = [];
  readonly #onWindow: () => void;

  constructor(
    session: RheaSession,
    socket: StreamSocket,
    options: { frameBytesMax: () => number; unsettledMax: number; onWindow: () => void },
  ) {
    this.#session = session;
    this.#socket = socket;
    this.#frameBytesMax = options.frameBytesMax;
    this.#unsettledMax = options.unsettledMax;
    this.#onWindow = options.onWindow;
  }

  // ---- what rhea's session calls ----

  available(): number {
    return uintMax;
  }
  on_begin(fields: { incoming_window: number }): void {
    this.#remoteWindow = fields.incoming_window;
  }
  on_flow(fields: FlowPerformative): void {
    this.#remoteNext = fields.next_incoming_id ?? 0;
    this.#remoteWindow = fields.incoming_window;
  }
  on_disposition(fields: DispositionPerformative): void {
    const last = fields.last ?? fields.first;
    // A range may name four billion deliveries; there are never more than the unsettled ones.
    for (const [id, { onOutcome }] of this.#unsettled) {
      if ((id - fields.first) >>> 0 > (last - fields.first) >>> 0) continue;
      const outcome = outcomeOf(fields.state);
      if (outcome === "unknown" && fields.settled !== true) continue;
      this.#unsettled.delete(id);
      onOutcome(outcome);
    }
  }
  process(): void {
    this.flushPending();
  }

  // ---- ours ----

  /** Transfers the peer takes now. */
  get windowFree(): number {
    return Math.max(0, this.#remoteWindow - ((this.next_transfer_id - this.#remoteNext) >>> 0));
  }

  /** Sends when there is credit; until then it waits. With `onOutcome` unsettled, else settled. */
  send(link: RheaSender, payload: Buffer, onOutcome?: OnOutcome): void {
    if (this.#pending.length + this.#unsettled.size >= this.#unsettledMax) {
      throw new IotError("amqp.limit", `${this.#unsettledMax} deliveries wait for the peer`);
    }
    this.#pending.push({ link, payload, onOutcome });
    this.flushPending();
  }

  flushPending(): void {
    if (this.#pending.length > 0) {
      const waiting: Pending[] = [];
      for (const item of this.#pending) {
        if (!item.link.is_open()) continue;
        if (!this.#sendOne(item)) waiting.push(item);
      }
      this.#pending = waiting;
    }
    if (this.windowFree > 0) this.#onWindow();
  }

  #sendOne({ link, payload, onOutcome }: Pending): boolean {
    if (link.credit <= 0 || this.windowFree < this.framesFor(payload.length)) return false;
    const deliveryId = this.#nextDeliveryId;
    this.writeMessage(link, payload, onOutcome === undefined);
    if (onOutcome !== undefined) this.#unsettled.set(deliveryId, { link, onOutcome });
    return true;
  }

  framesFor(payloadBytes: number): number {
    return Math.max(1, Math.ceil(payloadBytes / (this.#frameBytesMax() - transferHeadBytes)));
  }

  /** Whether a message of so many bytes is one frame to this peer. */
  fitsOneFrame(payloadBytes: number): boolean {
    return payloadBytes + transferHeadBytes <= this.#frameBytesMax();
  }

  /** One message, in as many frames as the peer's frame size asks for. The caller has looked at credit and window. */
  writeMessage(link: RheaSender, payload: Buffer, isSettled: boolean): void {
    const partMax = this.#frameBytesMax() - transferHeadBytes;
    const deliveryId = this.#takeDelivery(link);
    let at = 0;
    do {
      const end = Math.min(at + partMax, payload.length);
      const frame = Buffer.allocUnsafe(transferHeadBytes + end - at);
      const isLast = end === payload.length;
      writeHead(frame, 0, frame.length, this.#address(link), deliveryId, isSettled, !isLast);
      payload.copy(frame, transferHeadBytes, at, end);
      this.#socket.write(frame);
      this.next_transfer_id = (this.next_transfer_id + 1) >>> 0;
      at = end;
    } while (at < payload.length);
  }

  /** Writes the head of a one-frame message at `start`, whose payload already lies behind it up to `end`. */
  headInPlace(
    buffer: Buffer,
    start: number,
    end: number,
    link: RheaSender,
    isSettled: boolean,
  ): void {
    const deliveryId = this.#takeDelivery(link);
    this.next_transfer_id = (this.next_transfer_id + 1) >>> 0;
    writeHead(buffer, start, end - start, this.#address(link), deliveryId, isSettled, false);
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  forget(link: RheaSender): void {
    for (const [id, entry] of this.#unsettled) {
      if (entry.link !== link) continue;
      this.#unsettled.delete(id);
      entry.onOutcome("released");
    }
    this.#pending = this.#pending.filter((item) => item.link !== link);
  }

  #takeDelivery(link: RheaSender): number {
    const deliveryId = this.#nextDeliveryId;
    this.#nextDeliveryId = (deliveryId + 1) >>> 0;
    link.credit--;
    link.delivery_count = (link.delivery_count + 1) >>> 0;
    return deliveryId;
  }

  #address(link: RheaSender): Address {
    return { channel: this.#session.local.channel, handle: link.local.handle };
  }
}

type Address = { channel: number; handle: number };

/**
 *     size:u32  doff=2  type=0  channel:u16
 *     0x00 0x53 0x14  list8(size 26, 6 items): handle uint, delivery-id uint, tag vbin8(4), format 0, settled, more
 */
function writeHead(
  buffer: Buffer,
  at: number,
  frameBytes: number,
  { channel, handle }: Address,
  deliveryId: number,
  isSettled: boolean,
  hasMore: boolean,
): void {
  buffer.writeUInt32BE(frameBytes, at);
  buffer[at + 4] = 2;
  buffer[at + 5] = 0;
  buffer.writeUInt16BE(channel, at + 6);
  buffer[at + 8] = 0x00;
  buffer[at + 9] = 0x53;
  buffer[at + 10] = 0x14;
  buffer[at + 11] = 0xc0;
  buffer[at + 12] = 20;
  buffer[at + 13] = 6;
  buffer[at + 14] = 0x70;
  buffer.writeUInt32BE(handle, at + 15);
  buffer[at + 19] = 0x70;
  buffer.writeUInt32BE(deliveryId, at + 20);
  buffer[at + 24] = 0xa0;
  buffer[at + 25] = 4;
  buffer.writeUInt32BE(deliveryId, at + 26);
  buffer[at + 30] = 0x43;
  buffer[at + 31] = isSettled ? 0x41 : 0x42;
  buffer[at + 32] = hasMore ? 0x41 : 0x42;
}

function outcomeOf(state: unknown): Outcome {
  const descriptor = (state as { descriptor?: { value?: unknown } } | undefined)?.descriptor?.value;
  switch (String(descriptor)) {
    case "36":
    case "amqp:accepted:list":
      return "accepted";
    case "37":
    case "amqp:rejected:list":
      return "rejected";
    case "38":
    case "amqp:released:list":
      return "released";
    case "39":
    case "amqp:modified:list":
      return "modified";
    default:
      return "unknown";
  }
}

import rheaModule from "rhea";

/**
 * The part of `rhea` that the hub stands on, with the types of what it really does: its own declarations leave out the
 * seams used here (a connection's `on_…` methods, a session's outgoing half). Behaviour observed in rhea 3.0.5.
 */

export type RheaMessage = {
  message_id?: string | number | Buffer;
  correlation_id?: string | number | Buffer;
  reply_to?: string;
  to?: string;
  user_id?: Buffer;
  content_type?: string;
  content_encoding?: string;
  absolute_expiry_time?: Date | number;
  message_annotations?: Record<string, unknown>;
  application_properties?: Record<string, unknown>;
  body?: unknown;
};

export type AmqpError = { condition: string; description: string; info?: Record<string, unknown> };

export type IncomingDelivery = {
  accept(): void;
  reject(error: AmqpError): void;
  settled: boolean;
};

type Terminus = {
  address?: string | null;
  dynamic?: boolean;
  filter?: Record<string, unknown>;
  described(): unknown;
};

export type AttachPerformative = {
  name: string;
  handle: number;
  role: boolean;
  snd_settle_mode?: number;
  source?: Terminus | null;
  target?: Terminus | null;
  properties?: Record<string, unknown>;
  desired_capabilities?: string | string[];
};

type LinkBase = {
  name: string;
  session: RheaSession;
  connection: RheaConnection;
  local: { handle: number; attach: Record<string, unknown>; detach: Record<string, unknown> };
  remote: { handle?: number; attach?: AttachPerformative };
  credit: number;
  delivery_count: number;
  issue_flow: boolean;
  _incomplete?: { settled: boolean } | undefined;
  is_open(): boolean;
  is_receiver(): boolean;
  close(error?: AmqpError): void;
  _get_drain(): boolean;
};

/** We send. */
export type RheaSender = LinkBase & { readonly source?: Terminus; readonly target?: Terminus };
/** We receive. */
export type RheaReceiver = LinkBase & { add_credit(credit: number): void };

export type RheaSession = {
  connection: RheaConnection;
  local: { channel: number; handles: Record<number, LinkBase | undefined> };
  remote: { channel?: number; handles: Record<number, LinkBase | undefined> };
  links: Record<string, LinkBase>;
  outgoing: unknown;
  incoming: { deliveries: { size: number; get_head(): { id: number } | undefined } };
  is_open(): boolean;
  create_sender(name: string): RheaSender;
  end(error?: AmqpError): void;
  _write_flow(link?: LinkBase): void;
};

export type Frame<P> = { channel: number; performative: P; payload?: Buffer };

export type BeginPerformative = { remote_channel?: number | null };
export type FlowPerformative = {
  next_incoming_id?: number | null;
  incoming_window: number;
  next_outgoing_id: number;
  handle?: number | null;
  delivery_count?: number | null;
  link_credit?: number | null;
  drain?: boolean;
  echo?: boolean;
};
export type DispositionPerformative = {
  role: boolean;
  first: number;
  last?: number | null;
  settled?: boolean;
  state?: unknown;
};
export type TransferPerformative = { handle: number; aborted?: boolean; more?: boolean };

export type RheaConnection = {
  container: RheaContainer;
  options: Record<string, unknown>;
  local: { open: Record<string, unknown>; close: { error?: AmqpError } };
  remote: { open?: { idle_time_out?: number; hostname?: string; max_frame_size?: number } };
  local_channel_map: Record<number, RheaSession>;
  remote_channel_map: Record<number, RheaSession>;
  accept(socket: unknown): RheaConnection;
  close(error?: AmqpError): void;
  is_open(): boolean;
  is_closed(): boolean;
  is_remote_open(): boolean;
  on(event: string, listener: (context: never) => void): void;
  removeAllListeners(): void;
  create_session(bufferSize?: number): RheaSession;
  on_open(frame: Frame<{ idle_time_out?: number; max_frame_size?: number }>): void;
  on_begin(frame: Frame<BeginPerformative>): void;
  on_attach(frame: Frame<AttachPerformative>): void;
  on_flow(frame: Frame<FlowPerformative>): void;
  on_disposition(frame: Frame<DispositionPerformative>): void;
  on_transfer(frame: Frame<TransferPerformative>): void;
  _register(): void;
  _process(): void;
  _disconnected(error?: Error): void;
};

type Typed = object;

export type RheaContainer = {
  sasl_server_mechanisms: Record<string, unknown>;
  create_container(options?: object): RheaContainer;
  create_connection(options: object): RheaConnection;
  uuid_to_string(bytes: Buffer): string;
  message: { encode(message: object): Buffer; data_section(bytes: Buffer): object };
  types: {
    Reader: {
      prototype: {
        read_array_items(count: number, type: { width: number }): unknown[];
        remaining(): number;
      };
    };
    wrap_int(value: number): Typed;
    wrap_long(value: number): Typed;
    wrap_ulong(value: number): Typed;
    wrap_timestamp(value: number): Typed;
    wrap_string(value: string): Typed;
    wrap_array(values: unknown[], code: number, descriptors?: unknown): Typed;
  };
};

export const rhea = rheaModule as unknown as RheaContainer;

const reader = rhea.types.Reader.prototype;
// oxlint-disable-next-line typescript/unbound-method -- called with its reader below
const readArrayItems = reader.read_array_items;
/**
 * An array may announce four billion items that take no byte each, and rhea makes them all. What no honest peer sends is
 * refused here, for every user of rhea in this process.
 */
reader.read_array_items = function (count, type) {
  if (count > 65_536 || (type.width > 0 && count > this.remaining())) {
    throw new RangeError(`an AMQP array announces ${count} items`);
  }
  return readArrayItems.call(this, count, type);
};

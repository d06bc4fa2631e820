/** Sessions brought to a state, for tests that begin there. */
import { ClientSession, ServerSession, payloadOf } from "@hubwire/protocol";
import type {
  ClientEffect,
  ClientSessionOptions,
  ConnectRequest,
  IncomingMessage,
  ServerEffect,
  ServerSessionOptions,
} from "@hubwire/protocol";
import { encodePacket } from "./packets.ts";
import type { Packet } from "./packets.ts";

export const serverOptions: ServerSessionOptions = {
  packetBytesMax: 262_144,
  connectTimeoutMs: 10_000,
  inflightMax: 20,
  pendingBytesMax: 65_536,
};

export const clientOptions: ClientSessionOptions = {
  packetBytesMax: 262_144,
  inflightMax: 20,
  connackTimeoutMs: 10_000,
};

export const request: ConnectRequest = {
  clientId: "dev1",
  username: "hub/dev1/?api-version=2021-04-12",
  password: undefined,
  cleanSession: false,
  keepAliveS: 60,
  will: undefined,
};

export const connectPacket = encodePacket({
  type: "connect",
  clientId: "dev1",
  cleanSession: false,
  keepAliveS: 60,
  username: "hub/dev1/?api-version=2021-04-12",
});

/** After an accepted CONNECT, with CONNACK already taken. */
export function openServer(options: Partial<ServerSessionOptions> = {}, nowMs = 0): ServerSession {
  const session = new ServerSession({ ...serverOptions, ...options }, nowMs);
  session.receive(connectPacket, nowMs);
  session.accept({ sessionPresent: false, keepAliveTimeoutMs: 90_000 }, nowMs);
  session.takeOutput();
  return session;
}

/** After an accepting CONNACK, with CONNECT already taken. */
export function openClient(
  options: Partial<ClientSessionOptions> = {},
  overrides: Partial<ConnectRequest> = {},
  nowMs = 0,
): ClientSession {
  const session = new ClientSession({ ...clientOptions, ...options });
  reconnect(session, false, overrides, nowMs);
  session.takeOutput();
  return session;
}

/** The next connection of a session, up to its CONNACK; what it resends waits in its output. */
export function reconnect(
  session: ClientSession,
  sessionPresent: boolean,
  overrides: Partial<ConnectRequest> = {},
  nowMs = 0,
): readonly ClientEffect[] {
  session.connect({ ...request, ...overrides }, nowMs);
  session.takeOutput();
  return session.receive(encodePacket({ type: "connack", sessionPresent, returnCode: 0 }), nowMs);
}

export const publishPacket = (
  topic: string,
  text: string,
  packetId = 0,
  flags: { dup?: boolean; retain?: boolean } = {},
): Packet => ({
  type: "publish",
  topic,
  payload: Buffer.from(text).toString("hex"),
  qos: packetId === 0 ? 0 : 1,
  packetId,
  dup: flags.dup ?? false,
  retain: flags.retain ?? false,
});

export const bytesOf = (...packets: Packet[]): Uint8Array =>
  new Uint8Array(Buffer.concat(packets.map(encodePacket)));

export const textOf = (message: IncomingMessage): string =>
  Buffer.from(payloadOf(message)).toString();

/** Effects as comparable data: a message's bytes as text, without where they lie. */
export function plain(effects: readonly (ServerEffect | ClientEffect)[]): unknown[] {
  return effects.map((effect) => {
    if (effect.type !== "message") return effect;
    const { type, topic, qos, dup, retain, packetId, receipt } = effect;
    return { type, topic, qos, dup, retain, packetId, receipt, payload: textOf(effect) };
  });
}

export const messagesOf = (effects: readonly (ServerEffect | ClientEffect)[]): IncomingMessage[] =>
  effects.filter((effect): effect is IncomingMessage => effect.type === "message");

/** The code of the close effect, if there is one. */
export function closeCode(effects: readonly (ServerEffect | ClientEffect)[]): string | undefined {
  const last = effects.at(-1);
  return last?.type === "close" ? last.code : undefined;
}

import { ClientSession, IotError } from "@hubwire/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodePackets, encodePacket } from "./mqtt/packets.ts";
import type { Packet } from "./mqtt/packets.ts";
import {
  bytesOf,
  clientOptions,
  closeCode,
  messagesOf,
  openClient,
  plain,
  publishPacket,
  reconnect,
  request,
} from "./mqtt/sessions.ts";

const text = (value: string) => new Uint8Array(Buffer.from(value));
const message = (value: string) => ({ topic: "d/1", payload: text(value), qos: 1 as const });
const puback = (packetId: number): Packet => ({ type: "puback", packetId });

/** What the session has to say, as packets. */
function said(session: ClientSession): unknown[] {
  const output = session.takeOutput();
  return output === undefined ? [] : decodePackets([output]);
}

describe("connecting", () => {
  test("writes CONNECT and reports CONNACK", () => {
    const session = new ClientSession(clientOptions);
    expect(session.deadlineMs).toBe(Infinity);
    session.connect({ ...request, password: Uint8Array.of(1, 2) }, 0);
    const { username } = request;
    expect(said(session)).toEqual([
      {
        type: "connect",
        clientId: "dev1",
        cleanSession: false,
        keepAliveS: 60,
        username,
        password: "0102",
      },
    ]);
    expect(session.connected).toBe(false);
    const connack = encodePacket({ type: "connack", sessionPresent: true, returnCode: 0 });
    expect(session.receive(connack, 1)).toEqual([{ type: "connected", sessionPresent: true }]);
    expect(session.connected).toBe(true);
  });

  test("reports a refusal with its return code before it closes", () => {
    const session = new ClientSession(clientOptions);
    session.connect(request, 0);
    const connack = encodePacket({ type: "connack", sessionPresent: false, returnCode: 5 });
    const effects = session.receive(connack, 1);
    expect(effects[0]).toEqual({ type: "refused", returnCode: 5 });
    expect(closeCode(effects)).toBe("mqtt.refused_not_authorized");
  });

  test("gives up without CONNACK; bytes that trickle in do not extend the time", () => {
    const session = new ClientSession(clientOptions);
    session.connect(request, 1_000);
    expect(session.receive(Uint8Array.of(0x20), 9_000)).toEqual([]);
    expect(session.deadlineMs).toBe(11_000);
    expect(session.tick(10_999)).toEqual([]);
    expect(closeCode(session.tick(11_000))).toBe("mqtt.connack_timeout");
  });

  test("with a clean session takes no session from the server, whatever it claims", () => {
    const session = new ClientSession(clientOptions);
    expect(reconnect(session, true, { cleanSession: true })).toEqual([
      { type: "connected", sessionPresent: false },
    ]);
  });

  test("twice on one connection is a bug of the caller; after a close effect it is not", () => {
    const session = openClient();
    expect(() => session.connect(request, 1)).toThrow("call lost first");
    session.disconnect(2);
    session.connect(request, 3);
    expect(said(session)).toMatchObject([{ type: "connect" }]);
  });

  test("with a request MQTT cannot carry leaves the session as it was", () => {
    const session = new ClientSession(clientOptions);
    expect(() => session.connect({ ...request, clientId: "\ud800" }, 0)).toThrow(IotError);
    expect(session.hasOutput).toBe(false);
    expect(reconnect(session, false)).toHaveLength(1);
  });
});

describe("publishing", () => {
  test("takes packet identifiers in turn and reports each acknowledgement once", () => {
    const session = openClient({ firstPacketId: 65_535 });
    expect([session.publish(message("a"), 1), session.publish(message("b"), 1)]).toEqual([
      65_535, 1,
    ]);
    expect(session.publish({ ...message("c"), qos: 0 }, 1)).toBe(0);
    expect(said(session)).toEqual([
      publishPacket("d/1", "a", 65_535),
      publishPacket("d/1", "b", 1),
      publishPacket("d/1", "c"),
    ]);
    expect(session.receive(bytesOf(puback(1), puback(1), puback(65_535)), 2)).toEqual([
      { type: "published", packetId: 1 },
      { type: "published", packetId: 65_535 },
    ]);
    expect(session.ignoredAcks).toBe(1);
    expect(session.inflight).toBe(0);
  });

  test("beyond the window, or while not connected, is a bug of the caller", () => {
    const session = openClient({ inflightMax: 1 });
    session.publish(message("a"), 1);
    expect(session.windowFree).toBe(0);
    expect(() => session.publish(message("b"), 1)).toThrow("windowFree");
    session.lost(2);
    expect(() => session.publish({ ...message("c"), qos: 0 }, 3)).toThrow("while connected");
  });

  test("to a topic MQTT cannot carry sends and keeps nothing", () => {
    const session = openClient();
    expect(() => session.publish({ ...message("x"), topic: "a+b" }, 1)).toThrow(IotError);
    expect(session.hasOutput).toBe(false);
    expect(session.inflight).toBe(0);
  });

  test.each([true, false])(
    "what was not acknowledged is sent again, in order, with DUP, before anything new (session present: %s)",
    (sessionPresent) => {
      const session = openClient({ firstPacketId: 65_534 });
      for (const value of ["a", "b", "c", "d"]) session.publish(message(value), 1);
      session.receive(bytesOf(puback(65_535)), 2);
      session.lost(3);
      expect(session.hasOutput).toBe(false);
      expect(session.inflight).toBe(3);
      expect(reconnect(session, sessionPresent)).toEqual([{ type: "connected", sessionPresent }]);
      expect(session.publish(message("e"), 5)).toBe(3);
      expect(said(session)).toEqual([
        publishPacket("d/1", "a", 65_534, { dup: true }),
        publishPacket("d/1", "c", 1, { dup: true }),
        publishPacket("d/1", "d", 2, { dup: true }),
        publishPacket("d/1", "e", 3),
      ]);
    },
  );

  test("goes on in another process from a snapshot", () => {
    const session = openClient({ firstPacketId: 7 });
    session.publish(message("a"), 1);
    session.publish(message("b"), 1);
    const snapshot = structuredClone(session.snapshot());
    const heir = new ClientSession(clientOptions);
    heir.restore(snapshot);
    expect(heir.windowFree).toBe(clientOptions.inflightMax - 2);
    reconnect(heir, true);
    expect(said(heir)).toEqual([
      publishPacket("d/1", "a", 7, { dup: true }),
      publishPacket("d/1", "b", 8, { dup: true }),
    ]);
    expect(heir.publish(message("c"), 1)).toBe(9);
  });

  test("a cancelled publish is not reported, keeps its identifier till acknowledged, and is not sent again", () => {
    const session = openClient({ inflightMax: 2 });
    session.publish(message("kept"), 1);
    session.publish(message("cancelled"), 1);
    session.cancel(2);
    session.cancel(99);
    expect(session.windowFree).toBe(0);
    expect(session.snapshot().inflight.map(({ packetId }) => packetId)).toEqual([1]);
    expect(session.receive(bytesOf(puback(2)), 2)).toEqual([]);
    expect(session.ignoredAcks).toBe(0);
    expect(session.windowFree).toBe(1);

    session.publish(message("cancelled, then cut"), 3);
    session.cancel(3);
    session.lost(4);
    expect(session.windowFree).toBe(1);
    reconnect(session, true);
    expect(said(session)).toEqual([publishPacket("d/1", "kept", 1, { dup: true })]);
  });

  test("a publish cancelled between connections is forgotten at once", () => {
    const session = openClient();
    session.publish(message("a"), 1);
    session.lost(2);
    session.cancel(1);
    expect(session.inflight).toBe(0);
    reconnect(session, true);
    expect(session.hasOutput).toBe(false);
  });
});

describe("subscribing", () => {
  test("reports what was granted", () => {
    const session = openClient();
    const filters = [
      { filter: "a/#", qos: 1 as const },
      { filter: "b", qos: 0 as const },
    ];
    expect(session.subscribe(filters, 1)).toBe(1);
    expect(session.unsubscribe(["b"], 1)).toBe(2);
    expect(said(session)).toEqual([
      { type: "subscribe", packetId: 1, filters },
      { type: "unsubscribe", packetId: 2, filters: ["b"] },
    ]);
    const answers = bytesOf(
      { type: "unsuback", packetId: 2 },
      { type: "suback", packetId: 1, granted: [0x80, 0] },
    );
    expect(session.receive(answers, 2)).toEqual([
      { type: "unsubscribed", packetId: 2 },
      { type: "subscribed", packetId: 1, granted: [0x80, 0] },
    ]);
  });

  test("answers for other things, or for nothing, are ignored and counted", () => {
    const session = openClient();
    session.publish(message("a"), 1);
    session.subscribe([{ filter: "a", qos: 0 }], 1);
    session.unsubscribe(["a"], 1);
    const effects = session.receive(
      bytesOf(
        { type: "suback", packetId: 1, granted: [0] },
        { type: "unsuback", packetId: 2 },
        puback(3),
        { type: "suback", packetId: 9, granted: [0] },
      ),
      2,
    );
    expect(effects).toEqual([]);
    expect(session.ignoredAcks).toBe(4);
    expect(session.inflight).toBe(1);
  });

  test("a SUBACK must have one code for each filter [MQTT-3.8.4-5]", () => {
    const session = openClient();
    session.subscribe([{ filter: "a", qos: 0 }], 1);
    const effects = session.receive(bytesOf({ type: "suback", packetId: 1, granted: [0, 0] }), 2);
    expect(closeCode(effects)).toBe("mqtt.suback_malformed");
  });

  test("does not survive a connection", () => {
    const session = openClient();
    session.subscribe([{ filter: "a", qos: 0 }], 1);
    session.lost(2);
    reconnect(session, true);
    expect(session.hasOutput).toBe(false);
    const late = bytesOf({ type: "suback", packetId: 1, granted: [0] });
    expect(session.receive(late, 3)).toEqual([]);
  });

  test.each([[[]], [["a#"]], [[""]]])("with filters %j is refused to the caller", (filters) => {
    const session = openClient();
    const asked = filters.map((filter) => ({ filter, qos: 0 as const }));
    expect(() => session.subscribe(asked, 1)).toThrow(IotError);
    expect(() => session.unsubscribe(filters, 1)).toThrow(IotError);
    expect(session.hasOutput).toBe(false);
  });
});

describe("incoming messages", () => {
  const incoming = (value: string, packetId: number, dup = false) =>
    bytesOf(publishPacket("c2d", value, packetId, { dup }));

  test("are acknowledged as handlers finish, in any order", () => {
    const session = openClient();
    const chunk = bytesOf(publishPacket("c2d", "a", 5), publishPacket("c2d", "b", 6));
    expect(plain(session.receive(chunk, 1))).toMatchObject([
      { receipt: 1, packetId: 5, payload: "a" },
      { receipt: 2, packetId: 6, payload: "b" },
    ]);
    session.ack(2);
    expect(said(session)).toEqual([puback(6)]);
    session.ack(1);
    session.ack(1);
    session.ack(0);
    expect(said(session)).toEqual([puback(5)]);
    expect(session.openReceipts).toBe(0);
  });

  test("repeated while with their handler are not handed over again; its ack answers the repetition", () => {
    const session = openClient();
    session.receive(incoming("a", 5), 1);
    expect(session.receive(incoming("a", 5, true), 2)).toEqual([]);
    session.ack(1);
    expect(said(session)).toEqual([puback(5)]);
    const [again] = messagesOf(session.receive(incoming("a", 5, true), 3));
    expect(again?.receipt).toBe(2);
  });

  test("still with their handler when the connection is cut are answered on the next one", () => {
    const session = openClient();
    session.receive(incoming("a", 5), 1);
    session.lost(2);
    reconnect(session, true);
    expect(session.openReceipts).toBe(1);
    expect(session.receive(incoming("a", 5, true), 3)).toEqual([]);
    session.ack(1);
    expect(said(session)).toEqual([puback(5)]);
  });

  test.each(["between connections", "before the repetition comes"])(
    "handled %s are answered when the server repeats them",
    (moment) => {
      const session = openClient();
      session.receive(incoming("a", 5), 1);
      session.lost(2);
      if (moment === "between connections") session.ack(1);
      reconnect(session, true);
      if (moment !== "between connections") session.ack(1);
      expect(session.hasOutput).toBe(false);
      expect(session.openReceipts).toBe(0);
      expect(session.receive(incoming("a", 5, true), 3)).toEqual([]);
      expect(said(session)).toEqual([puback(5)]);
    },
  );

  test("are forgotten when the server has no session: their receipts are stale", () => {
    const session = openClient();
    session.receive(incoming("a", 5), 1);
    session.lost(2);
    reconnect(session, false);
    expect(session.openReceipts).toBe(0);
    const [fresh] = messagesOf(session.receive(incoming("a", 5, true), 3));
    expect(fresh?.receipt).toBe(2);
    session.ack(1);
    expect(session.hasOutput).toBe(false);
    session.ack(2);
    expect(said(session)).toEqual([puback(5)]);
  });

  test.each([
    { name: "without DUP", value: "a", dup: false },
    { name: "with DUP and another content", value: "b", dup: true },
  ])(
    "another message under an open identifier, $name, is handed over and the old receipt is stale",
    (next) => {
      const session = openClient();
      session.receive(incoming("a", 5), 1);
      session.lost(2);
      reconnect(session, true);
      const [other] = messagesOf(session.receive(incoming(next.value, 5, next.dup), 3));
      expect(other?.receipt).toBe(2);
      session.ack(1);
      expect(session.hasOutput).toBe(false);
      session.ack(2);
      expect(said(session)).toEqual([puback(5)]);
    },
  );

  test("released by a handler that failed are handed over again when the server repeats them", () => {
    const session = openClient();
    session.receive(incoming("a", 5), 1);
    session.release(1);
    session.release(1);
    session.release(0);
    expect(session.openReceipts).toBe(0);
    const [again] = messagesOf(session.receive(incoming("a", 5, true), 2));
    expect(again?.receipt).toBe(2);
    expect(session.openReceipts).toBe(1);
    session.ack(1);
    expect(session.hasOutput).toBe(false);
    session.ack(2);
    expect(said(session)).toEqual([puback(5)]);
  });

  test("released can still be acknowledged until they are repeated", () => {
    const session = openClient();
    session.receive(incoming("a", 5), 1);
    session.release(1);
    session.ack(1);
    expect(said(session)).toEqual([puback(5)]);
    expect(session.openReceipts).toBe(0);
  });

  test("released and acknowledged before the next connection are answered when they come again", () => {
    const session = openClient();
    session.receive(incoming("a", 5), 1);
    session.release(1);
    session.lost(2);
    session.ack(1);
    reconnect(session, true);
    expect(session.receive(incoming("a", 5, true), 3)).toEqual([]);
    expect(said(session)).toEqual([puback(5)]);
  });

  test("acknowledged after the connection closed write nothing", () => {
    const session = openClient();
    session.receive(incoming("a", 5), 1);
    session.disconnect(2);
    session.takeOutput();
    session.ack(1);
    expect(session.hasOutput).toBe(false);
  });

  test("of QoS 0 and with RETAIN are handed over as they are", () => {
    const session = openClient();
    const chunk = bytesOf(publishPacket("t", "x", 0, { retain: true }));
    expect(plain(session.receive(chunk, 1))).toMatchObject([{ qos: 0, retain: true, receipt: 0 }]);
    expect(session.openReceipts).toBe(0);
  });
});

describe("keep alive", () => {
  const pingresp = encodePacket({ type: "pingresp" });

  /** Jumps from deadline to deadline. */
  function run(session: ClientSession, untilMs: number): string[] {
    const log: string[] = [];
    for (let t = session.deadlineMs; t <= untilMs; t = session.deadlineMs) {
      const code = closeCode(session.tick(t));
      log.push(`${t / 1000}s ${code ?? JSON.stringify(said(session))}`);
    }
    return log;
  }
  const ping = '[{"type":"pingreq"}]';

  test("a silent connection is pinged each interval", () => {
    const session = openClient();
    expect(run(session, 60_000)).toEqual([`60s ${ping}`]);
    session.receive(pingresp, 60_100);
    expect(run(session, 120_000)).toEqual([`120s ${ping}`]);
  });

  test("a server that stops answering is noticed half an interval after the ping", () => {
    expect(run(openClient(), 3_600_000)).toEqual([`60s ${ping}`, "90s mqtt.ping_timeout"]);
  });

  test("the time for an answer can be set", () => {
    const session = openClient({ pingTimeoutMs: 5_000 });
    expect(run(session, 3_600_000)).toEqual([`60s ${ping}`, "65s mqtt.ping_timeout"]);
  });

  test("a client that only publishes pings too, and so notices a half-open connection", () => {
    const session = openClient();
    const log: string[] = [];
    for (
      let t = 1_000;
      t <= 100_000 && !log.some((line) => line.includes("ping_timeout"));
      t += 1_000
    ) {
      log.push(...run(session, t));
      if (session.connected) session.publish({ ...message("x"), qos: 0 }, t);
      session.takeOutput();
    }
    expect(log).toEqual([`60s ${ping}`, "90s mqtt.ping_timeout"]);
  });

  test("a client that only receives pings too, as the server demands [MQTT-3.1.2-23]", () => {
    const session = openClient();
    for (let t = 1_000; t < 60_000; t += 1_000) {
      expect(run(session, t)).toEqual([]);
      session.receive(bytesOf(publishPacket("t", "x")), t);
    }
    expect(run(session, 60_000)).toEqual([`60s ${ping}`]);
  });

  test("bytes of a large message that delays PINGRESP keep the connection, and it is pinged again in time", () => {
    const session = openClient();
    session.receive(Uint8Array.of(0x30, 0xff, 0xff, 0x03), 59_000);
    const log: string[] = [];
    for (let t = 60_000; t <= 200_000; t += 10_000) {
      log.push(...run(session, t));
      session.receive(Uint8Array.of(0), t);
    }
    expect(log).toEqual([`60s ${ping}`, `120s ${ping}`, `180s ${ping}`]);
  });

  test("a connection in doubt is asked at once, and given up when nothing at all arrives", () => {
    const session = openClient();
    session.probe(10_000, 5_000);
    session.probe(12_000, 60_000);
    expect(session.deadlineMs).toBe(15_000);
    expect(closeCode(session.tick(15_000))).toBe("mqtt.ping_timeout");
    session.probe(20_000, 1_000);
    expect(session.takeOutput()).toBeDefined();
  });

  test("any byte settles a doubt; the ping still has to be answered in its own time", () => {
    const session = openClient();
    session.probe(10_000, 5_000);
    session.receive(Uint8Array.of(0x30), 14_000);
    expect(session.tick(15_000)).toEqual([]);
    expect(run(session, 3_600_000).at(-1)).toBe("44s mqtt.ping_timeout");
    const answered = openClient();
    answered.probe(10_000, 5_000);
    expect(said(answered)).toEqual([{ type: "pingreq" }]);
    answered.receive(pingresp, 10_100);
    expect(run(answered, 70_000)).toEqual([`70s ${ping}`]);
  });

  test("an answered ping does not count against a later one", () => {
    const session = openClient();
    run(session, 60_000);
    session.receive(pingresp, 89_999);
    expect(run(session, 119_000)).toEqual([]);
    expect(run(session, 3_600_000)).toEqual([`120s ${ping}`, "150s mqtt.ping_timeout"]);
  });

  test("0 turns it off", () => {
    const session = openClient({}, { keepAliveS: 0 });
    expect(session.deadlineMs).toBe(Infinity);
    expect(session.tick(1e12)).toEqual([]);
  });

  test("ticks that come early change nothing", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(59_999)), (times) => {
        const session = openClient();
        for (const early of times) expect(session.tick(early)).toEqual([]);
        expect(run(session, 3_600_000)).toEqual([`60s ${ping}`, "90s mqtt.ping_timeout"]);
      }),
    );
  });
});

describe("the end of a connection", () => {
  test("DISCONNECT is written and the close effect returned, once", () => {
    const session = openClient();
    expect(closeCode(session.disconnect(1))).toBe("mqtt.disconnected");
    expect(said(session)).toEqual([{ type: "disconnect" }]);
    expect(session.disconnect(2)).toEqual([]);
    expect(session.receive(bytesOf(publishPacket("t", "x", 1)), 3)).toEqual([]);
    expect(session.tick(1e12)).toEqual([]);
  });

  test("half a packet of a lost connection does not spoil the next one", () => {
    const session = openClient();
    session.receive(Uint8Array.of(0x30, 0x05, 0x00), 1);
    session.lost(2);
    expect(reconnect(session, false)).toEqual([{ type: "connected", sessionPresent: false }]);
  });

  test("lost can be said at any time", () => {
    const session = new ClientSession(clientOptions);
    session.lost(0);
    session.connect(request, 1);
    session.lost(2);
    session.lost(3);
    expect(session.hasOutput).toBe(false);
    expect(session.deadlineMs).toBe(Infinity);
    expect(session.receive(encodePacket({ type: "pingresp" }), 4)).toEqual([]);
  });
});

import { IotError, ServerSession } from "@hubwire/protocol";
import type { ServerSnapshot } from "@hubwire/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cut } from "./mqtt/arbitraries.ts";
import { decodePackets } from "./mqtt/packets.ts";
import type { Packet } from "./mqtt/packets.ts";
import {
  bytesOf,
  closeCode,
  connectPacket,
  messagesOf,
  openServer,
  plain,
  publishPacket,
  request,
  serverOptions,
} from "./mqtt/sessions.ts";

const acceptance = { sessionPresent: false, keepAliveTimeoutMs: 90_000 };
const text = (value: string) => new Uint8Array(Buffer.from(value));

/** What the session has to say, as packets. */
function said(session: ServerSession): unknown[] {
  const output = session.takeOutput();
  return output === undefined ? [] : decodePackets([output]);
}

const puback = (packetId: number): Packet => ({ type: "puback", packetId });

describe("CONNECT", () => {
  test("is shown, waits for the answer, and is accepted with CONNACK 0", () => {
    const session = new ServerSession(serverOptions, 0);
    const effects = session.receive(connectPacket, 5);
    expect(effects).toEqual([{ type: "connect", request }]);
    expect(session.hasOutput).toBe(false);
    session.accept({ ...acceptance, sessionPresent: true }, 6);
    expect(said(session)).toEqual([{ type: "connack", sessionPresent: true, returnCode: 0 }]);
  });

  test("is refused with the return code, then closed", () => {
    const session = new ServerSession(serverOptions, 0);
    session.receive(connectPacket, 5);
    expect(closeCode(session.refuse(5, 6))).toBe("mqtt.refused_not_authorized");
    expect(said(session)).toEqual([{ type: "connack", sessionPresent: false, returnCode: 5 }]);
    expect(session.accept(acceptance, 7)).toEqual([]);
    expect(session.hasOutput).toBe(false);
  });

  test("its password and will are copies: the chunk may change afterwards", () => {
    const session = new ServerSession(serverOptions, 0);
    const will = { topic: "w", payload: "0102", qos: 0 as const, retain: false };
    const chunk = bytesOf({
      type: "connect",
      clientId: "c",
      cleanSession: true,
      keepAliveS: 1,
      username: "u",
      password: "0a0b",
      will,
    });
    const [effect] = session.receive(chunk, 1);
    chunk.fill(0);
    expect(effect).toMatchObject({
      request: { password: Uint8Array.of(10, 11), will: { payload: Uint8Array.of(1, 2) } },
    });
  });

  test("one byte a second does not extend its time", () => {
    const session = new ServerSession(serverOptions, 1_000);
    let code: string | undefined;
    let nowMs = 1_000;
    for (const byte of connectPacket) {
      nowMs += 1_000;
      code =
        closeCode(session.tick(nowMs)) ?? closeCode(session.receive(Uint8Array.of(byte), nowMs));
      if (code !== undefined) break;
    }
    expect(code).toBe("mqtt.connect_timeout");
    expect(nowMs).toBe(11_000);
  });

  test("while it waits for its answer no time runs out", () => {
    const session = new ServerSession(serverOptions, 0);
    session.receive(connectPacket, 5);
    expect(session.deadlineMs).toBe(Infinity);
    expect(session.tick(1e9)).toEqual([]);
  });
});

describe("packets behind CONNECT", () => {
  const behind = bytesOf(
    { type: "subscribe", packetId: 1, filters: [{ filter: "a/#", qos: 1 }] },
    publishPacket("t", "one", 2),
    { type: "pingreq" },
    publishPacket("t", "two"),
    { type: "disconnect" },
  );
  const shown = [
    { type: "subscribe", packetId: 1, filters: [{ filter: "a/#", qos: 1 }] },
    {
      type: "message",
      topic: "t",
      qos: 1,
      dup: false,
      retain: false,
      packetId: 2,
      receipt: 1,
      payload: "one",
    },
    {
      type: "message",
      topic: "t",
      qos: 0,
      dup: false,
      retain: false,
      packetId: 0,
      receipt: 0,
      payload: "two",
    },
    { type: "disconnect" },
    { type: "close", code: "mqtt.disconnected", reason: "the client sent DISCONNECT" },
  ];

  test("are read after accept, however the bytes were split", () => {
    const all = new Uint8Array([...connectPacket, ...behind]);
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 8 }), (places) => {
        const session = new ServerSession(serverOptions, 0);
        const effects = cut(all, places).flatMap((chunk) => session.receive(chunk, 1));
        expect(effects).toEqual([{ type: "connect", request }]);
        expect(plain(session.accept(acceptance, 2))).toEqual(shown);
        expect(said(session)).toEqual([
          { type: "connack", sessionPresent: false, returnCode: 0 },
          { type: "pingresp" },
        ]);
      }),
    );
  });

  test("are copied: the driver may use its buffer again", () => {
    const session = new ServerSession(serverOptions, 0);
    const chunk = new Uint8Array([...connectPacket, ...behind]);
    session.receive(chunk, 1);
    chunk.fill(0);
    expect(plain(session.accept(acceptance, 2))).toEqual(shown);
  });

  test("are bounded in bytes", () => {
    const session = new ServerSession({ ...serverOptions, pendingBytesMax: behind.length }, 0);
    session.receive(new Uint8Array([...connectPacket, ...behind]), 1);
    expect(closeCode(session.receive(Uint8Array.of(0xc0), 1))).toBe("mqtt.pipeline_overflow");
    expect(session.accept(acceptance, 2)).toEqual([]);
    expect(session.hasOutput).toBe(false);
  });

  test("that were cut in the middle go on after accept", () => {
    const session = new ServerSession(serverOptions, 0);
    const [first, second] = cut(bytesOf(publishPacket("t", "abc")), [4]);
    session.receive(new Uint8Array([...connectPacket, ...first!]), 1);
    expect(session.accept(acceptance, 2)).toEqual([]);
    expect(plain(session.receive(second!, 3))).toMatchObject([{ type: "message", payload: "abc" }]);
  });

  test("are not read when CONNECT is refused", () => {
    const session = new ServerSession(serverOptions, 0);
    session.receive(new Uint8Array([...connectPacket, ...behind]), 1);
    expect(session.refuse(3, 2).map((effect) => effect.type)).toEqual(["close"]);
    expect(session.openReceipts).toBe(0);
  });
});

describe("receipts", () => {
  test("grow by one per QoS 1 message; QoS 0 has none", () => {
    const session = openServer();
    const effects = session.receive(
      bytesOf(publishPacket("t", "a", 9), publishPacket("t", "b"), publishPacket("t", "c", 4)),
      1,
    );
    expect(messagesOf(effects).map(({ receipt }) => receipt)).toEqual([1, 0, 2]);
    expect(session.openReceipts).toBe(2);
  });

  test("acknowledged in any order are answered in order of receipt [MQTT-4.6.0-2]", () => {
    const anyOrder = fc.integer({ min: 1, max: 100 }).chain((count) =>
      fc.shuffledSubarray(
        Array.from({ length: count }, (_, i) => i + 1),
        { minLength: count },
      ),
    );
    fc.assert(
      fc.property(anyOrder, fc.array(fc.boolean()), (order, takes) => {
        const session = openServer();
        const ids = order.map((_, i) => 1000 + i);
        session.receive(bytesOf(...ids.map((id) => publishPacket("t", "x", id))), 1);
        const answers: unknown[] = [];
        for (const [i, receipt] of order.entries()) {
          session.ack(receipt);
          if (takes[i] === true) answers.push(...said(session));
        }
        answers.push(...said(session));
        expect(answers).toEqual(ids.map(puback));
        expect(session.openReceipts).toBe(0);
      }),
    );
  });

  test("keep order while new messages come, over many turns of the ring", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40), { minLength: 20, maxLength: 60 }), (steps) => {
        const session = openServer();
        const received: number[] = [];
        const open: number[] = [];
        const acked = new Set<number>();
        const answered: unknown[] = [];
        const ack = (receipt: number) => {
          session.ack(receipt);
          acked.add(receipt);
        };
        for (const step of steps) {
          for (let i = 0; i < step % 7; i++) {
            const packetId = received.push(received.length + 1);
            const effects = session.receive(bytesOf(publishPacket("t", "x", packetId)), 1);
            open.push(messagesOf(effects)[0]!.receipt);
          }
          open.splice(step % (open.length + 1), 1 + (step % 5)).forEach(ack);
          answered.push(...said(session));
          // Exactly those before the oldest receipt that is not acknowledged.
          let answerable = 0;
          while (acked.has(answerable + 1)) answerable++;
          expect(answered).toHaveLength(answerable);
          expect(session.openReceipts).toBe(received.length - answerable);
        }
        open.forEach(ack);
        answered.push(...said(session));
        expect(answered).toEqual(received.map(puback));
      }),
    );
  });

  test("of a repeated packet identifier are two messages with two answers", () => {
    const session = openServer();
    const effects = session.receive(
      bytesOf(publishPacket("t", "x", 7), publishPacket("t", "x", 7, { dup: true })),
      1,
    );
    expect(messagesOf(effects).map(({ receipt, dup }) => [receipt, dup])).toEqual([
      [1, false],
      [2, true],
    ]);
    session.ack(2);
    session.ack(1);
    expect(said(session)).toEqual([puback(7), puback(7)]);
  });

  test("acknowledged twice, or 0, or after the end, do nothing", () => {
    const session = openServer();
    session.receive(bytesOf(publishPacket("t", "x", 7), publishPacket("t", "y", 8)), 1);
    session.ack(1);
    session.ack(1);
    session.ack(0);
    expect(said(session)).toEqual([puback(7)]);
    session.receive(bytesOf({ type: "disconnect" }), 2);
    session.ack(2);
    expect(session.hasOutput).toBe(false);
  });

  test("that were never given are a bug of the caller", () => {
    expect(() => openServer().ack(1)).toThrow("receipt 1 was never given");
  });
});

describe("messages to the client", () => {
  const message = (value: string) => ({ topic: "d/1", payload: text(value), qos: 1 as const });

  test("of QoS 1 take packet identifiers in turn, skip those in use, and wrap to 1", () => {
    const session = openServer({ firstPacketId: 65_534, inflightMax: 100 });
    const ids = Array.from({ length: 4 }, () => session.publish(message("x"), 1));
    expect(ids).toEqual([65_534, 65_535, 1, 2]);
    expect(session.publish({ ...message("q"), qos: 0 }, 1)).toBe(0);
    expect(said(session)).toHaveLength(5);
  });

  test("a packet identifier still in use is skipped after 65,535 others", () => {
    const session = openServer({ inflightMax: 2 });
    expect(session.publish(message("held"), 1)).toBe(1);
    for (let i = 2; i <= 65_535; i++) {
      const packetId = session.publish(message("x"), 1);
      session.takeOutput();
      session.receive(bytesOf(puback(packetId)), 1);
    }
    expect(session.publish(message("next"), 1)).toBe(2);
  });

  test("fill a window that PUBACKs in any order open again", () => {
    const session = openServer({ inflightMax: 2 });
    const first = session.publish(message("a"), 1);
    const second = session.publish(message("b"), 1);
    expect(session.windowFree).toBe(0);
    expect(() => session.publish(message("c"), 1)).toThrow("windowFree");
    expect(session.receive(bytesOf(puback(second)), 2)).toEqual([
      { type: "published", packetId: second },
    ]);
    expect(session.windowFree).toBe(1);
    expect(session.receive(bytesOf(puback(first)), 2)).toEqual([
      { type: "published", packetId: first },
    ]);
  });

  test("PUBACKs for unknown identifiers are ignored and counted", () => {
    const session = openServer();
    const packetId = session.publish(message("a"), 1);
    const effects = session.receive(bytesOf(puback(999), puback(packetId), puback(packetId)), 2);
    expect(effects).toEqual([{ type: "published", packetId }]);
    expect(session.ignoredAcks).toBe(2);
  });

  test("are sent again on request with DUP and the same identifier", () => {
    const session = openServer({ firstPacketId: 50 });
    session.publish(message("a"), 1);
    session.resend(50);
    session.resend(51);
    expect(said(session)).toEqual([
      publishPacket("d/1", "a", 50),
      publishPacket("d/1", "a", 50, { dup: true }),
    ]);
  });

  test("once forgotten leave the window; a late PUBACK is ignored and the identifier rests till then", () => {
    const session = openServer({ inflightMax: 1, firstPacketId: 65_535 });
    session.publish(message("expired"), 1);
    session.forget(65_535);
    expect(session.windowFree).toBe(1);
    session.resend(65_535);
    expect(session.publish(message("b"), 2)).toBe(1);
    expect(said(session)).toEqual([
      publishPacket("d/1", "expired", 65_535),
      publishPacket("d/1", "b", 1),
    ]);
    expect(session.receive(bytesOf(puback(65_535)), 3)).toEqual([]);
    expect(session.ignoredAcks).toBe(1);
    expect(session.snapshot().inflight.map(({ packetId }) => packetId)).toEqual([1]);
  });

  test("forgotten and never acknowledged keep their identifier from reuse", () => {
    const session = openServer({ inflightMax: 2 });
    session.forget(session.publish(message("expired"), 1));
    for (let i = 2; i <= 65_535; i++) {
      const packetId = session.publish(message("x"), 1);
      session.takeOutput();
      session.receive(bytesOf(puback(packetId)), 1);
    }
    expect(session.publish(message("next"), 1)).toBe(2);
  });

  test("forgotten without end do not use up the identifiers", () => {
    const session = openServer({ inflightMax: 1 });
    for (let i = 0; i < 140_000; i++) {
      session.forget(session.publish(message("x"), 1));
      session.takeOutput();
    }
    expect(session.windowFree).toBe(1);
  });

  test("to a topic MQTT cannot carry are refused to the caller and leave nothing behind", () => {
    const session = openServer();
    const bad = { ...message("x"), topic: "a/#" };
    expect(() => session.publish(bad, 1)).toThrow(IotError);
    expect(session.hasOutput).toBe(false);
    expect(session.windowFree).toBe(serverOptions.inflightMax);
  });

  test("in flight go on over connections: same identifiers, same order, DUP, before anything else", () => {
    const before = openServer({ firstPacketId: 65_535 });
    for (const value of ["a", "b", "c"]) before.publish(message(value), 1);
    before.receive(bytesOf(puback(1)), 2);
    const snapshot = structuredClone(before.snapshot());
    expect(snapshot).toEqual({
      nextPacketId: 3,
      inflight: [
        { packetId: 65_535, topic: "d/1", payload: text("a"), qos: 1 },
        { packetId: 2, topic: "d/1", payload: text("c"), qos: 1 },
      ],
    } satisfies ServerSnapshot);

    const session = new ServerSession(serverOptions, 10);
    session.receive(
      new Uint8Array([...connectPacket, ...bytesOf(puback(2), { type: "pingreq" })]),
      11,
    );
    const effects = session.accept({ ...acceptance, sessionPresent: true, inflight: snapshot }, 12);
    expect(effects).toEqual([{ type: "published", packetId: 2 }]);
    expect(session.publish(message("d"), 13)).toBe(3);
    expect(said(session)).toEqual([
      { type: "connack", sessionPresent: true, returnCode: 0 },
      publishPacket("d/1", "a", 65_535, { dup: true }),
      publishPacket("d/1", "c", 2, { dup: true }),
      { type: "pingresp" },
      publishPacket("d/1", "d", 3),
    ]);
  });

  test("a snapshot larger than the window leaves no room, not less than none", () => {
    const inflight = [1, 2, 3].map((packetId) => ({ packetId, ...message("x") }));
    const session = new ServerSession({ ...serverOptions, inflightMax: 2 }, 0);
    session.receive(connectPacket, 1);
    session.accept({ ...acceptance, inflight: { nextPacketId: 4, inflight } }, 1);
    expect(session.windowFree).toBe(0);
  });
});

describe("SUBSCRIBE and UNSUBSCRIBE", () => {
  test("are shown and answered when the hub says", () => {
    const session = openServer();
    const filters = [
      { filter: "a/#", qos: 2 as const },
      { filter: "b", qos: 0 as const },
    ];
    const effects = session.receive(
      bytesOf(
        { type: "subscribe", packetId: 5, filters },
        { type: "unsubscribe", packetId: 6, filters: ["b"] },
      ),
      1,
    );
    expect(effects).toEqual([
      { type: "subscribe", packetId: 5, filters },
      { type: "unsubscribe", packetId: 6, filters: ["b"] },
    ]);
    session.unsuback(6);
    session.suback(5, [1, 0x80]);
    expect(said(session)).toEqual([
      { type: "unsuback", packetId: 6 },
      { type: "suback", packetId: 5, granted: [1, 0x80] },
    ]);
  });
});

describe("time and the end", () => {
  test("any byte resets the keep alive; silence ends the connection", () => {
    const session = openServer({}, 1_000);
    expect(session.deadlineMs).toBe(91_000);
    session.receive(Uint8Array.of(0x30), 50_000);
    expect(session.deadlineMs).toBe(140_000);
    expect(session.tick(139_999)).toEqual([]);
    expect(closeCode(session.tick(140_000))).toBe("mqtt.keep_alive_timeout");
    expect(session.deadlineMs).toBe(Infinity);
  });

  test("no keep alive is no deadline", () => {
    const session = new ServerSession(serverOptions, 0);
    session.receive(connectPacket, 1);
    session.accept({ sessionPresent: false, keepAliveTimeoutMs: Infinity }, 2);
    expect(session.deadlineMs).toBe(Infinity);
    expect(session.tick(1e12)).toEqual([]);
  });

  test("PINGREQ is answered", () => {
    const session = openServer();
    expect(session.receive(bytesOf({ type: "pingreq" }), 1)).toEqual([]);
    expect(said(session)).toEqual([{ type: "pingresp" }]);
  });

  test("DISCONNECT is shown, then the connection closes, and what follows is not read", () => {
    const session = openServer();
    const effects = session.receive(
      bytesOf({ type: "disconnect" }, publishPacket("t", "late", 1)),
      1,
    );
    expect(effects).toEqual([
      { type: "disconnect" },
      { type: "close", code: "mqtt.disconnected", reason: "the client sent DISCONNECT" },
    ]);
    expect(session.openReceipts).toBe(0);
  });

  test("a closed session lets its owner finish what was under way", () => {
    const session = openServer();
    session.publish({ topic: "t", payload: text("x"), qos: 1 }, 1);
    session.takeOutput();
    session.receive(bytesOf({ type: "disconnect" }), 2);
    expect(session.publish({ topic: "t", payload: text("y"), qos: 1 }, 3)).toBe(0);
    session.suback(1, [0]);
    session.unsuback(1);
    session.resend(1);
    expect(session.hasOutput).toBe(false);
    expect(session.snapshot().inflight).toHaveLength(1);
  });

  test("calls that come out of order are bugs of the caller", () => {
    const session = new ServerSession(serverOptions, 0);
    expect(() => session.accept(acceptance, 0)).toThrow("accept answers a connect effect");
    expect(() => session.refuse(5, 0)).toThrow("refuse answers a connect effect");
    expect(() => session.publish({ topic: "t", payload: text(""), qos: 0 }, 0)).toThrow("accept");
    expect(() => new ServerSession({ ...serverOptions, firstPacketId: 0 }, 0)).toThrow(
      "firstPacketId",
    );
  });
});

test("a topic a peer repeats is the same string, and payloads lie in the chunk they came in", () => {
  const session = openServer();
  const chunk = bytesOf(publishPacket("devices/d/messages/events/", "one"));
  const again = chunk.slice();
  const [first] = messagesOf(session.receive(chunk, 1));
  const [second] = messagesOf(session.receive(again, 1));
  expect(first!.chunk).toBe(chunk);
  expect(second!.chunk).toBe(again);
  expect(second!.topic).toBe("devices/d/messages/events/");
});

import { IotError } from "@hubwire/protocol";
import type { ServerEffect } from "@hubwire/protocol";
import type { FakeHub, HubConnection } from "../support/fake-hub.ts";
import type { HubScript } from "../support/script.ts";
import type { World } from "../support/world.ts";
import type { FaultName } from "./outcomes.ts";

/** How a hub that behaved until now begins to misbehave. */
export type Fault = {
  script: HubScript;
  /** The connection in use is cut first, because the fault is in making one. */
  cuts?: boolean;
  /** Done to the connection in use when the fault begins. */
  begin?: (connection: HubConnection) => void;
};

type OnEffect = NonNullable<HubScript["onEffect"]>;

const byOnEffect = (onEffect: OnEffect): Fault => ({ script: { onEffect } });

/** The hub does not react to packets of this type. */
const deafTo = (type: ServerEffect["type"]): Fault =>
  byOnEffect((effect) => (effect.type === type ? "taken" : undefined));

const closesAt = (type: ServerEffect["type"]): Fault =>
  byOnEffect((effect, { driver }) => {
    if (effect.type !== type) return undefined;
    driver.destroy("transport.closed", "by the script");
    return "taken";
  });

/** CONNECT is answered with these bytes. */
const answersConnect = (...bytes: number[]): Fault => ({
  cuts: true,
  ...byOnEffect((effect, { driver }) => {
    if (effect.type !== "connect") return undefined;
    driver.stream.write(Uint8Array.from(bytes));
    return "taken";
  }),
});

const refuses = (returnCode: 1 | 2 | 3 | 4 | 5): Fault => ({
  cuts: true,
  script: { refuse: () => returnCode },
});

/** These bytes follow every CONNACK at once, and go to the connection in use when the fault begins. */
function pushes(bytes: Uint8Array): Fault {
  const push = (connection: HubConnection): void => {
    connection.driver.flush();
    if (!connection.closed) connection.driver.stream.write(bytes.slice());
  };
  return {
    script: {
      onEffect: (effect, connection, hub) => {
        // By then the hub has said CONNACK.
        if (effect.type === "connect") hub.clock.endOfTurn(() => push(connection));
        return undefined;
      },
    },
    begin: push,
  };
}

/** SUBSCRIBE is answered with these bytes, the packet identifier first put into places 2 and 3. */
const answersSubscribe = (...bytes: number[]): Fault =>
  byOnEffect((effect, { driver }) => {
    if (effect.type !== "subscribe") return undefined;
    const answer = Uint8Array.from(bytes);
    answer[2] = effect.packetId >> 8;
    answer[3] = effect.packetId & 0xff;
    driver.stream.write(answer);
    return "taken";
  });

type TwinAnswer = (rid: string, connection: HubConnection, hub: FakeHub) => void;

/** Twin requests are answered like this. */
const answersTwin = (answer: TwinAnswer): Fault =>
  byOnEffect((effect, connection, hub) => {
    if (effect.type !== "message" || !effect.topic.startsWith("$iothub/twin/")) return undefined;
    const rid = /\$rid=([^&]+)/.exec(effect.topic)?.[1] ?? "";
    answer(rid, connection, hub);
    return "taken";
  });

const goodTwin = '{"desired":{"$version":1},"reported":{"$version":1}}';
const errorBody = (code: number, text: string): string =>
  JSON.stringify({ errorCode: code, trackingId: "", message: text });

/** A PUBLISH as it stands on the wire. */
function publish(topic: string, payload: Uint8Array | string, header = 0x30): Uint8Array {
  const name = Buffer.from(topic, "utf8");
  const packetId = (header & 6) === 0 ? [] : [0, 7];
  const body = Buffer.concat([
    Uint8Array.of(name.length >> 8, name.length & 0xff),
    name,
    Uint8Array.from(packetId),
    Buffer.from(payload),
  ]);
  return Buffer.concat([Uint8Array.of(header, ...remainingLength(body.length)), body]);
}

function remainingLength(length: number): number[] {
  const bytes: number[] = [];
  let left = length;
  do {
    bytes.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    left >>= 7;
  } while (left > 0);
  return bytes;
}

const acks = (effect: ServerEffect): effect is ServerEffect & { type: "message" } =>
  effect.type === "message" && effect.packetId !== 0;

let heldRid: string | undefined;

export const faults: Record<FaultName, Fault> = {
  "no stream opens": { cuts: true, script: { onOpen: () => new Promise(() => undefined) } },
  "the stream is refused": {
    cuts: true,
    script: {
      onOpen: () => {
        throw new IotError("transport.refused", "nobody listens");
      },
    },
  },
  "accepts and says nothing": { cuts: true, ...deafTo("connect") },
  "closes at CONNECT": { cuts: true, ...closesAt("connect") },
  "closes after CONNACK": {
    cuts: true,
    ...byOnEffect((effect, { driver }, hub) => {
      if (effect.type === "connect") {
        hub.clock.endOfTurn(() => {
          driver.flush();
          driver.close("transport.closed", "by the script");
        });
      }
      return undefined;
    }),
  },
  "closes at SUBSCRIBE": closesAt("subscribe"),
  "closes at PUBLISH": closesAt("message"),
  "CONNACK 1": refuses(1),
  "CONNACK 2": refuses(2),
  "CONNACK 3": refuses(3),
  "CONNACK 4": refuses(4),
  "CONNACK 5": refuses(5),
  "CONNACK 200": answersConnect(0x20, 2, 0, 200),
  "answers CONNECT with PINGRESP": answersConnect(0xd0, 0),
  "answers CONNECT with HTTP": answersConnect(
    ...Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n", "latin1"),
  ),
  "256 MB length prefix for CONNACK": answersConnect(0x20, 0xff, 0xff, 0xff, 0x7f),
  "256 MB length prefix": pushes(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f)),
  "a length of five bytes": pushes(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0xff, 1)),
  "a packet only clients send": pushes(Uint8Array.of(0xc0, 0)),
  "PUBLISH with QoS 2": pushes(publish("devices/dev1/messages/devicebound/", "x", 0x34)),
  "a topic that is no UTF-8": pushes(Uint8Array.of(0x30, 4, 0, 2, 0xc3, 0x28)),
  "never acknowledges a message": byOnEffect((effect) => (acks(effect) ? "taken" : undefined)),
  "acknowledges what was not sent": byOnEffect((effect, { driver }) => {
    if (acks(effect)) driver.stream.write(Uint8Array.of(0x40, 2, 0xea, 0x60));
    return undefined;
  }),
  "acknowledges twice": byOnEffect((effect, { driver }, hub) => {
    if (!acks(effect)) return undefined;
    const { packetId } = effect;
    hub.clock.endOfTurn(() =>
      driver.stream.write(Uint8Array.of(0x40, 2, packetId >> 8, packetId & 0xff)),
    );
    return undefined;
  }),
  "never answers SUBSCRIBE": deafTo("subscribe"),
  "refuses every SUBSCRIBE": answersSubscribe(0x90, 3, 0, 0, 0x80),
  "SUBACK with too many codes": answersSubscribe(0x90, 5, 0, 0, 0, 0, 0),
  "never answers a twin request": answersTwin(() => undefined),
  "answers twin requests after a minute": answersTwin((rid, connection, hub) => {
    hub.clock.at(hub.clock.nowMs() + 60_000, () => {
      if (!connection.closed) hub.answerTwin(connection, 200, rid, goodTwin, 2);
    });
  }),
  "answers twin requests twice": answersTwin((rid, connection, hub) => {
    hub.answerTwin(connection, 200, rid, goodTwin, 2);
    hub.answerTwin(connection, 200, rid, goodTwin, 2);
  }),
  "answers twin requests out of order": answersTwin((rid, connection, hub) => {
    if (heldRid === undefined) {
      heldRid = rid;
      // For those who ask only one thing.
      hub.clock.at(hub.clock.nowMs() + 1_000, () => {
        if (heldRid === rid && !connection.closed)
          hub.answerTwin(connection, 200, rid, goodTwin, 2);
        heldRid = undefined;
      });
      return;
    }
    hub.answerTwin(connection, 200, rid, goodTwin, 2);
    hub.answerTwin(connection, 200, heldRid, goodTwin, 2);
    heldRid = undefined;
  }),
  "answers twin requests with garbage": answersTwin((rid, connection, hub) =>
    hub.answerTwin(connection, 200, rid, "\u0000{]"),
  ),
  "answers twin requests nobody made": answersTwin((_rid, connection, hub) =>
    hub.answerTwin(connection, 200, "4711", goodTwin, 2),
  ),
  "answers twin requests with 400": answersTwin((rid, connection, hub) =>
    hub.answerTwin(connection, 400, rid, errorBody(400004, "No")),
  ),
  "throttles twin requests (429)": answersTwin((rid, connection, hub) =>
    hub.answerTwin(connection, 429, rid, errorBody(429001, "Slow down")),
  ),
  "fails twin requests (500)": answersTwin((rid, connection, hub) =>
    hub.answerTwin(connection, 500, rid, errorBody(500001, "Oops")),
  ),
  "throttles telemetry: acknowledges late, then closes": byOnEffect((effect, { driver }, hub) => {
    if (!acks(effect)) return undefined;
    hub.clock.at(hub.clock.nowMs() + 20_000, () => driver.destroy("transport.closed", "throttled"));
    return "taken";
  }),
  "messages before SUBACK": {
    script: {
      onEffect: (effect, connection, hub) => {
        if (effect.type === "connect") {
          hub.clock.endOfTurn(() => {
            connection.driver.flush();
            connection.driver.stream.write(
              publish("devices/dev1/messages/devicebound/%24.mid=early", "early", 0x32).slice(),
            );
          });
        }
        return undefined;
      },
    },
    cuts: true,
  },
  "topics nobody asked for": pushes(
    Buffer.concat(
      Array.from({ length: 200 }, (_, i) => publish(`what/is/this/${i}`, Buffer.alloc(1_000))),
    ),
  ),
  "desired properties that are no JSON": pushes(
    publish("$iothub/twin/PATCH/properties/desired/?$version=9", "\u0000{]"),
  ),
  "a method call that is no JSON": pushes(publish("$iothub/methods/POST/reboot/?$rid=1", "{")),
};

/** The fault begins, on a client that is connected or before there is one. */
export function beginFault(world: World, name: FaultName): void {
  heldRid = undefined;
  const { script, cuts, begin } = faults[name];
  const { hub } = world;
  Object.assign(hub.script, { onEffect: undefined, onOpen: undefined, refuse: undefined }, script);
  if (!hub.isConnected) return;
  begin?.(hub.current);
  if (cuts === true) hub.cut();
}

/** The hub behaves again; what it swallowed is not given back. */
export function endFault(world: World): void {
  Object.assign(world.hub.script, { onEffect: undefined, onOpen: undefined, refuse: undefined });
}

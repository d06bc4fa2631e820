import { expect, test } from "vitest";
import { Driver, VirtualClock } from "@hubwire/transport";
import type { CloseCause, DriverOptions } from "@hubwire/transport";
import { RecordingStream } from "./recording-stream.ts";
import { ScriptedSession } from "./scripted-session.ts";
import type { ScriptedEffect } from "./scripted-session.ts";

class CountingClock extends VirtualClock {
  endsOfTurn = 0;
  timers = 0;
  override endOfTurn(callback: () => void): void {
    this.endsOfTurn++;
    super.endOfTurn(callback);
  }
  override at(atMs: number, callback: () => void) {
    this.timers++;
    return super.at(atMs, callback);
  }
}

function setUp(options: Partial<DriverOptions<ScriptedEffect>> = {}, clock = new CountingClock()) {
  const session = new ScriptedSession();
  const stream = new RecordingStream();
  const effects: ScriptedEffect[] = [];
  const closed: CloseCause[] = [];
  const driver: Driver<ScriptedEffect> = new Driver({
    session,
    stream,
    clock,
    onEffects: (some) => effects.push(...some),
    onClosed: (cause) => closed.push(cause),
    ...options,
  });
  return { clock, session, stream, driver, effects, closed };
}

test("bytes become effects at once, output leaves at the end of the turn in one write", async () => {
  const { clock, session, stream, driver, effects } = setUp();
  driver.start();
  stream.take();
  session.onReceive = (text) => session.say(`<${text}>`);
  for (const text of ["a", "b", "c"]) stream.arrive(text);
  expect(effects.map((effect) => effect.type === "got" && effect.text)).toEqual(["a", "b", "c"]);
  expect(stream.take()).toEqual([]);
  await clock.settle();
  expect(stream.take()).toEqual(["write <a><b><c>"]);
  await clock.settle();
  expect(stream.take()).toEqual([]);
});

test("what the session has to say before anything arrives is sent by start", () => {
  const { session, stream, driver } = setUp();
  session.say("CONNECT");
  driver.start();
  expect(stream.take()).toEqual(["start", "write CONNECT"]);
});

test("flush writes now, and the end of the turn finds nothing left", async () => {
  const { clock, session, stream, driver } = setUp();
  driver.start();
  stream.take();
  for (let round = 0; round < 3; round++) {
    driver.touch();
    session.say("ack");
    driver.flush();
  }
  expect(stream.take()).toEqual(["write ack", "write ack", "write ack"]);
  await clock.settle();
  expect(stream.take()).toEqual([]);
});

test("however often it is touched, a driver is looked at once a turn", async () => {
  const { clock, session, driver } = setUp();
  driver.start();
  let looks = 0;
  Object.defineProperty(session, "hasOutput", { get: () => ++looks > Infinity });
  for (let count = 0; count < 100; count++) driver.touch();
  await clock.settle();
  expect(looks).toBe(1);
});

test("a thousand drivers of one clock cost one end of turn", async () => {
  const clock = new CountingClock();
  const all = Array.from({ length: 1_000 }, () => setUp({}, clock));
  for (const { driver } of all) driver.start();
  await clock.settle();
  clock.endsOfTurn = 0;
  for (const { session, driver } of all) {
    session.say("x");
    driver.touch();
    driver.touch();
  }
  expect(clock.endsOfTurn).toBe(1);
  await clock.settle();
  for (const { stream } of all) expect(stream.calls).toEqual(["start", "write x"]);
});

test("one that fails at the end of a turn does not keep the bytes of the others back", async () => {
  const clock = new CountingClock();
  const [first, broken, last] = [setUp({}, clock), setUp({}, clock), setUp({}, clock)];
  for (const { driver, session } of [first, broken, last]) {
    driver.start();
    session.say("x");
    driver.touch();
  }
  broken.stream.write = () => {
    throw new Error("planted");
  };
  await expect(clock.settle()).rejects.toThrow("planted");
  await clock.settle();
  expect(first.stream.calls).toEqual(["start", "write x"]);
  expect(last.stream.calls).toEqual(["start", "write x"]);
});

test("tick comes at the deadline", async () => {
  const { clock, session, driver, effects } = setUp();
  session.deadlineMs = 1_000;
  session.onTick = (nowMs) => {
    session.deadlineMs = nowMs + 1_000;
    return [{ type: "tick", atMs: nowMs }];
  };
  driver.start();
  await clock.advance(3_500);
  expect(effects).toEqual([1_000, 2_000, 3_000].map((atMs) => ({ type: "tick", atMs })));
});

test("a deadline that moves away with every message costs no timer per message", async () => {
  const { clock, session, stream, driver, effects } = setUp();
  session.deadlineMs = 60_000;
  session.onReceive = () => (session.deadlineMs = clock.nowMs() + 60_000);
  session.onTick = (nowMs) => {
    session.deadlineMs = Infinity;
    return [{ type: "tick", atMs: nowMs }];
  };
  driver.start();
  for (let count = 0; count < 1_000; count++) {
    stream.arrive("m");
    await clock.advance(100);
  }
  expect(clock.timers).toBeLessThanOrEqual(4);
  await clock.advance(60_000);
  expect(effects.at(-1)).toEqual({ type: "tick", atMs: 99_900 + 60_000 });
});

test("a deadline that comes nearer is kept", async () => {
  const { clock, session, driver, effects } = setUp();
  session.deadlineMs = 60_000;
  session.onTick = (nowMs) => {
    session.deadlineMs = Infinity;
    return [{ type: "tick", atMs: nowMs }];
  };
  driver.start();
  session.deadlineMs = 500;
  driver.touch();
  await clock.advance(100_000);
  expect(effects).toEqual([{ type: "tick", atMs: 500 }]);
});

test("reading stops above receiptsMax and goes on below half", async () => {
  const { clock, session, stream, driver } = setUp({ receiptsMax: 10 });
  driver.start();
  stream.take();
  const openReceipts = async (count: number): Promise<string[]> => {
    session.openReceipts = count;
    driver.touch();
    await clock.settle();
    return stream.take();
  };
  expect(await openReceipts(10)).toEqual([]);
  session.openReceipts = 11;
  stream.arrive("m");
  expect(stream.take()).toEqual(["pause"]);
  expect(await openReceipts(30)).toEqual([]);
  expect(await openReceipts(6)).toEqual([]);
  expect(await openReceipts(5)).toEqual(["resume"]);
  expect(await openReceipts(11)).toEqual(["pause"]);
});

test("a peer that does not take what it is sent is not read, and read again when it did", async () => {
  let writableAgain = 0;
  const { clock, session, stream, driver } = setUp({
    bufferedBytesMax: 1_000,
    onWritable: () => writableAgain++,
  });
  stream.highMarkBytes = 100;
  stream.keepsBytes = true;
  driver.start();
  stream.take();
  session.say(new Uint8Array(1_000));
  driver.flush();
  expect([stream.take(), driver.writable]).toEqual([["write 1000"], true]);
  session.say("x");
  driver.flush();
  expect([stream.take(), driver.writable]).toEqual([["write x", "pause"], false]);
  await clock.advance(10_000);
  stream.drain();
  expect([stream.take(), driver.writable, writableAgain]).toEqual([["resume"], true, 1]);
  await clock.advance(100_000);
  expect(driver.isClosed).toBe(false);
});

test("waiting bytes never stop the reading of a stream that will not drain any more", () => {
  // `write` said "go on", so no onDrain is owed: pausing here would be for ever.
  const { session, stream, driver } = setUp({ bufferedBytesMax: 1_000 });
  stream.keepsBytes = true;
  driver.start();
  session.say(new Uint8Array(5_000));
  driver.flush();
  expect(stream.take()).toEqual(["start", "write 5000"]);
});

test("a peer that takes nothing for slowReaderTimeoutMs is cut off", async () => {
  const { clock, session, stream, driver, closed } = setUp({
    bufferedBytesMax: 1_000,
    slowReaderTimeoutMs: 5_000,
  });
  stream.highMarkBytes = 100;
  stream.keepsBytes = true;
  driver.start();
  await clock.advance(60_000);
  session.say(new Uint8Array(1_001));
  driver.touch();
  await clock.advance(4_999);
  expect(closed).toEqual([]);
  await clock.advance(1);
  expect(closed).toMatchObject([{ by: "session", code: "transport.slow_reader" }]);
  expect(stream.take().at(-1)).toBe("destroy");
});

test("too much at once for a peer that takes nothing is cut off without waiting", () => {
  const { session, stream, driver, closed } = setUp({ bufferedBytesMax: 1_000 });
  stream.highMarkBytes = 100;
  stream.keepsBytes = true;
  driver.start();
  session.say(new Uint8Array(8_001));
  driver.flush();
  expect(closed).toMatchObject([{ by: "session", code: "transport.slow_reader" }]);
});

test("a close effect sends what is left, ends the stream and is told once", async () => {
  const { clock, session, stream, driver, effects, closed } = setUp();
  driver.start();
  stream.take();
  session.onReceive = () => session.say("goodbye");
  stream.arrive("close");
  expect(stream.take()).toEqual(["write goodbye", "end"]);
  expect(effects.map((effect) => effect.type)).toEqual(["got", "close"]);
  stream.arrive("more");
  driver.touch();
  driver.flush();
  driver.close("hub.stopping", "again");
  stream.handler?.onClosed(undefined);
  await clock.advance(100_000);
  expect(closed).toEqual([{ by: "session", code: "mqtt.disconnected", reason: "asked to" }]);
  expect(stream.take()).toEqual([]);
  expect(effects).toHaveLength(2);
});

test("the peer's end is told with its error, and stops the timer", async () => {
  const { clock, session, stream, driver, effects, closed } = setUp();
  session.deadlineMs = 1_000;
  driver.start();
  const error = new Error("cable cut");
  stream.handler?.onClosed(error);
  expect(closed).toEqual([{ by: "peer", error }]);
  await clock.advance(10_000);
  expect(effects).toEqual([]);
});

test("effects of a direct call go the same way", async () => {
  const { clock, session, stream, driver, effects, closed } = setUp();
  driver.start();
  session.say("DISCONNECT");
  driver.apply([{ type: "close", code: "client.closed", reason: "done" }]);
  await clock.settle();
  expect(stream.take()).toEqual(["start", "write DISCONNECT", "end"]);
  expect(effects).toHaveLength(1);
  expect(closed).toEqual([{ by: "session", code: "client.closed", reason: "done" }]);
});

test("destroy cuts without a word", () => {
  const { session, stream, driver, closed } = setUp();
  driver.start();
  session.say("lost");
  driver.destroy("connection.replaced", "a newer connection");
  expect(stream.take()).toEqual(["start", "destroy"]);
  expect(closed).toHaveLength(1);
});

test("a consumer may close from inside onEffects", async () => {
  const { clock, stream, driver, closed } = setUp({
    onEffects: () => driver.close("hub.stopping", "from inside"),
  });
  driver.start();
  stream.arrive("close");
  await clock.settle();
  expect(closed).toEqual([{ by: "session", code: "hub.stopping", reason: "from inside" }]);
  expect(stream.take()).toEqual(["start", "end"]);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { memoryStreamPair, VirtualClock } from "@hubwire/transport";
import { Collector } from "./collector.ts";

function pair() {
  const clock = new VirtualClock();
  const [first, second] = memoryStreamPair({
    clock,
    peers: [{ address: "second" }, { address: "first" }],
  });
  return { clock, first, second };
}

test("bytes arrive in order at the end of the turn, never inside write", async () => {
  const { clock, first, second } = pair();
  const reader = new Collector(second);
  first.write(Buffer.from("one "));
  first.write(Buffer.from("two"));
  expect(reader.text).toBe("");
  await clock.settle();
  expect(reader.text).toBe("one two");
  expect([first.peer.address, second.peer.address]).toEqual(["second", "first"]);
});

test("nothing is delivered before start, nor while paused, and it counts as buffered", async () => {
  const { clock, first, second } = pair();
  first.write(Buffer.from("early"));
  await clock.settle();
  expect(first.bufferedBytes).toBe(5);
  const reader = new Collector(second);
  second.pause();
  await clock.settle();
  expect(reader.text).toBe("");
  second.resume();
  await clock.settle();
  expect([reader.text, first.bufferedBytes]).toEqual(["early", 0]);
});

test("a reader that pauses in the middle gets the rest later", async () => {
  const { clock, first, second } = pair();
  const reader = new Collector(second);
  const take = reader.onBytes.bind(reader);
  reader.onBytes = (bytes) => {
    take(bytes);
    second.pause();
  };
  for (const text of ["a", "b", "c"]) first.write(Buffer.from(text));
  await clock.settle();
  expect(reader.text).toBe("a");
  second.resume();
  await clock.settle();
  second.resume();
  await clock.settle();
  expect(reader.text).toBe("abc");
});

test("write says stop above the high mark, and onDrain says go on once everything was read", async () => {
  const { clock, first, second } = pair();
  const writer = new Collector(first);
  expect(first.write(new Uint8Array(65_536))).toBe(true);
  expect(first.write(new Uint8Array(1))).toBe(false);
  await clock.settle();
  expect(writer.drains).toBe(0);
  const reader = new Collector(second);
  await clock.settle();
  expect([writer.drains, reader.receivedBytes]).toEqual([1, 65_537]);
});

test("end delivers what was written, then closes both ends without error, once", async () => {
  const { clock, first, second } = pair();
  const [one, two] = [new Collector(first), new Collector(second)];
  second.pause();
  first.write(Buffer.from("last words"));
  first.end();
  first.write(Buffer.from("ignored"));
  await clock.settle();
  expect([one.closed, two.closed]).toEqual([[], []]);
  second.resume();
  await clock.settle();
  expect(two.text).toBe("last words");
  expect([one.closed, two.closed]).toEqual([[undefined], [undefined]]);
  first.destroy();
  second.end();
  await clock.settle();
  expect([one.closed.length, two.closed.length]).toEqual([1, 1]);
});

test("both ends may end at once", async () => {
  const { clock, first, second } = pair();
  const [one, two] = [new Collector(first), new Collector(second)];
  first.end();
  second.write(Buffer.from("too late"));
  second.end();
  await clock.settle();
  expect([one.closed, two.closed, one.text]).toEqual([[undefined], [undefined], ""]);
});

test("a peer that never reads does not keep an ended stream open for ever", async () => {
  const { clock, first, second } = pair();
  const [one, two] = [new Collector(first), new Collector(second)];
  second.pause();
  first.write(Buffer.from("never read"));
  first.end();
  await clock.advance(5_000);
  expect([one.closed.length, two.closed.length, two.text]).toEqual([1, 1, ""]);
});

test("destroy drops what was under way and closes both ends", async () => {
  const { clock, first, second } = pair();
  const [one, two] = [new Collector(first), new Collector(second)];
  first.write(Buffer.from("dropped"));
  second.write(Buffer.from("dropped"));
  second.destroy();
  await clock.settle();
  expect([one.text, two.text]).toEqual(["", ""]);
  expect([one.closed.length, two.closed.length]).toEqual([1, 1]);
  expect([first.bufferedBytes, second.bufferedBytes]).toEqual([0, 0]);
});

test("an end that is started after the other side closed still hears of it", async () => {
  const { clock, first, second } = pair();
  const one = new Collector(first);
  first.write(Buffer.from("for later"));
  first.end();
  await clock.settle();
  const two = new Collector(second);
  await clock.settle();
  expect([two.text, two.closed, one.closed]).toEqual(["for later", [undefined], [undefined]]);
  const dead = pair();
  dead.first.destroy();
  await dead.clock.settle();
  const late = new Collector(dead.second);
  await dead.clock.settle();
  expect(late.closed).toHaveLength(1);
});

test("whatever is written, paused and resumed, the bytes come out as they went in", async () => {
  const anyStep = fc.oneof(
    fc
      .uint8Array({ minLength: 1, maxLength: 50 })
      .map((bytes) => ({ do: "write" as const, bytes })),
    fc.constant({ do: "pause" as const }),
    fc.constant({ do: "resume" as const }),
    fc.constant({ do: "settle" as const }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 40 }), async (steps) => {
      const { clock, first, second } = pair();
      const reader = new Collector(second);
      const sent: Uint8Array[] = [];
      for (const step of steps) {
        if (step.do === "write") {
          sent.push(step.bytes);
          first.write(step.bytes);
        } else if (step.do === "settle") await clock.settle();
        else second[step.do]();
      }
      first.end();
      second.resume();
      await clock.settle();
      expect(Buffer.from(reader.bytes)).toEqual(Buffer.concat(sent));
      expect(reader.closed).toEqual([undefined]);
    }),
    { numRuns: 50 },
  );
});

import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import { autoDialer, memoryStreamPair, VirtualClock } from "@hubwire/transport";
import type { ByteStream, DialTarget, TlsDial, TlsIdentity } from "@hubwire/transport";
import { expect, test } from "vitest";

const target: DialTarget = { host: "hub.example", port: 8883, identity: undefined };
const hourMs = 3_600_000;

type Answer = { afterMs: number; code?: ErrorCode; isDeaf?: boolean };

/** Two ways to the hub under one clock; what each does next is set by the test, what was asked of it is written down. */
class World {
  readonly clock = new VirtualClock();
  readonly log: string[] = [];
  tls: Answer = { afterMs: 100 };
  webSocket: Answer = { afterMs: 100 };
  readonly destroyed: string[] = [];
  readonly checked: TlsIdentity[] = [];
  readonly dial = autoDialer(
    [
      { name: "TLS", dial: this.#route("tls") },
      { name: "WebSocket", dial: this.#route("webSocket") },
    ],
    { clock: this.clock, timeoutMs: 20_000 },
  );

  /** One attempt, and what it came to. */
  async connect(signal = new AbortController().signal): Promise<string> {
    this.log.length = 0;
    let outcome: string | undefined;
    this.dial(target, signal).then(
      (stream) => (outcome = stream.peer.address),
      (error: IotError) => (outcome = `${error.code}: ${error.message}`),
    );
    for (let step = 0; outcome === undefined && step < 300; step++) await this.clock.advance(100);
    return outcome ?? "nothing";
  }

  #route(name: "tls" | "webSocket"): TlsDial {
    const dial = (_: DialTarget, signal: AbortSignal): Promise<ByteStream> => {
      const { clock } = this;
      const say = (what: string): void => void this.log.push(`${name} ${what}`);
      say("dialled");
      const { afterMs, code, isDeaf = false } = this[name];
      return new Promise((resolve, reject) => {
        const timer = clock.at(clock.nowMs() + afterMs, () => {
          if (code !== undefined) return reject(new IotError(code, `${name} says ${code}`));
          const [stream] = memoryStreamPair({ clock, peers: [{ address: name }, {}] });
          const destroy = stream.destroy.bind(stream);
          stream.destroy = () => {
            this.destroyed.push(name);
            destroy();
          };
          resolve(stream);
        });
        signal.addEventListener("abort", () => {
          say("aborted");
          if (isDeaf) return;
          timer.cancel();
          reject(new IotError("call.aborted", "aborted"));
        });
      });
    };
    return Object.assign(dial, {
      check: (identity: TlsIdentity) => void this.checked.push(identity),
    });
  }
}

test("while 8883 works, nothing else is dialled", async () => {
  const world = new World();
  for (let round = 0; round < 3; round++) {
    expect(await world.connect()).toBe("tls");
    expect(world.log).toEqual(["tls dialled"]);
  }
});

const blocked: ErrorCode[] = [
  "transport.refused",
  "transport.unreachable",
  "transport.timeout",
  "transport.reset",
  "transport.tls_protocol",
  "transport.tls_handshake",
  "transport.proxy_refused",
  "transport.proxy_timeout",
];
test.each(blocked)("8883 that fails with %s: WebSocket takes over at once", async (code) => {
  const world = new World();
  world.tls = { afterMs: 100, code };
  expect(await world.connect()).toBe("webSocket");
  expect(world.log).toEqual(["tls dialled", "webSocket dialled"]);
});

const refusals: ErrorCode[] = [
  "transport.tls_untrusted",
  "transport.tls_self_signed",
  "transport.tls_expired",
  "transport.tls_not_yet_valid",
  "transport.tls_name_mismatch",
  "transport.tls_pin",
  "transport.tls_credentials",
  "transport.client_certificate_rejected",
  "transport.dns",
  "transport.proxy_auth",
  "transport.proxy_unreachable",
];
test.each(refusals)("%s is never worked around", async (code) => {
  const world = new World();
  world.tls = { afterMs: 100, code };
  expect(await world.connect()).toBe(`${code}: tls says ${code}`);
  expect(world.log).toEqual(["tls dialled"]);
});

test("a refusal that comes while the other way is being tried ends that too", async () => {
  const world = new World();
  world.tls = { afterMs: 6_000, code: "transport.tls_pin" };
  world.webSocket = { afterMs: 10_000 };
  expect(await world.connect()).toMatch(/^transport\.tls_pin/);
  expect(world.log).toEqual(["tls dialled", "webSocket dialled", "webSocket aborted"]);
});

test("8883 that swallows everything: WebSocket is tried beside it after 5 s, and the loser is called off", async () => {
  const world = new World();
  world.tls = { afterMs: Infinity };
  expect(await world.connect()).toBe("webSocket");
  expect(world.clock.nowMs()).toBe(5_100);
  expect(world.log).toEqual(["tls dialled", "webSocket dialled", "tls aborted"]);
});

test("a slow 8883 wins if it is there first", async () => {
  const world = new World();
  world.tls = { afterMs: 6_000 };
  world.webSocket = { afterMs: 4_000 };
  expect(await world.connect()).toBe("tls");
  expect(world.log.at(-1)).toBe("webSocket aborted");
});

test("what worked is tried first the next time, without waiting for the other", async () => {
  const world = new World();
  world.tls = { afterMs: Infinity };
  await world.connect();
  expect(await world.connect()).toBe("webSocket");
  expect(world.log).toEqual(["webSocket dialled"]);
});

test("when what worked fails, the other one is tried again, and remembered", async () => {
  const world = new World();
  world.tls = { afterMs: 100, code: "transport.refused" };
  await world.connect();
  world.tls = { afterMs: 100 };
  world.webSocket = { afterMs: 100, code: "transport.websocket_refused" };
  expect(await world.connect()).toBe("tls");
  expect(world.log).toEqual(["webSocket dialled", "tls dialled"]);
  world.webSocket = { afterMs: 100 };
  await world.connect();
  expect(world.log).toEqual(["tls dialled"]);
});

test("a captive portal on 443 does not hide an 8883 that works", async () => {
  const world = new World();
  world.tls = { afterMs: 100, code: "transport.refused" };
  await world.connect();
  world.tls = { afterMs: 100 };
  world.webSocket = { afterMs: 100, code: "transport.tls_untrusted" };
  expect(await world.connect()).toBe("tls");
});

test("an hour later 8883 has its turn again, and if it is still shut, for another hour not", async () => {
  const world = new World();
  world.tls = { afterMs: 100, code: "transport.refused" };
  await world.connect();
  await world.clock.advance(hourMs - 1_000);
  await world.connect();
  expect(world.log).toEqual(["webSocket dialled"]);
  await world.clock.advance(1_000);
  await world.connect();
  expect(world.log).toEqual(["tls dialled", "webSocket dialled"]);
  await world.connect();
  expect(world.log).toEqual(["webSocket dialled"]);
  await world.clock.advance(hourMs);
  world.tls = { afterMs: 100 };
  expect(await world.connect()).toBe("tls");
  await world.connect();
  expect(world.log).toEqual(["tls dialled"]);
});

test("when both fail the error tells both, under the code that may heal", async () => {
  const world = new World();
  world.tls = { afterMs: 100, code: "transport.refused" };
  world.webSocket = { afterMs: 100, code: "transport.tls_untrusted" };
  expect(await world.connect()).toBe(
    "transport.refused: over TLS: tls says transport.refused; over WebSocket: webSocket says transport.tls_untrusted",
  );
});

test("when neither answers, both are called off by the one deadline", async () => {
  const world = new World();
  world.tls = { afterMs: Infinity };
  world.webSocket = { afterMs: Infinity };
  expect(await world.connect()).toMatch(/^transport\.timeout: over TLS: .* over WebSocket: /);
  expect(world.clock.nowMs()).toBe(20_000);
  expect(world.log.slice(2)).toEqual(["tls aborted", "webSocket aborted"]);
  expect(world.clock.nextMs).toBe(Infinity);
});

test("an abort calls off what runs, and leaves no timer", async () => {
  const world = new World();
  world.tls = { afterMs: Infinity };
  world.webSocket = { afterMs: Infinity };
  const controller = new AbortController();
  const outcome = world.dial(target, controller.signal).catch((error: IotError) => error.code);
  await world.clock.advance(6_000);
  controller.abort();
  expect(await outcome).toBe("call.aborted");
  expect(world.log.slice(2)).toEqual(["tls aborted", "webSocket aborted"]);
  expect(world.clock.nextMs).toBe(Infinity);
  expect(await world.connect(controller.signal)).toMatch(/^call\.aborted/);
  expect(world.log).toEqual([]);
});

test("a stream that opens after all was over is closed", async () => {
  const world = new World();
  world.tls = { afterMs: 7_000, isDeaf: true };
  expect(await world.connect()).toBe("webSocket");
  expect(world.destroyed).toEqual([]);
  await world.clock.advance(2_000);
  expect(world.destroyed).toEqual(["tls"]);
});

test("an identity is checked for both ways", () => {
  const world = new World();
  const identity = { cert: "c", key: "k" };
  world.dial.check(identity);
  expect(world.checked).toEqual([identity, identity]);
});

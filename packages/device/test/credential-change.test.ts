import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { expect, test } from "vitest";
import type {
  Credential,
  CredentialProvider,
  CredentialRequest,
  DeviceClient,
  DeviceOptions,
  DeviceStatus,
} from "@hubwire/device";
import { hostName, identity } from "./support/fake-hub.ts";
import { Outcome, World } from "./support/world.ts";

/** A provider that presents what the test says, and writes down what it hears. */
class Secrets implements CredentialProvider {
  name = "old";
  trial = false;
  standby = false;
  readonly outcomes: string[] = [];
  closed = false;
  #listener: ((why: string) => void) | undefined;
  readonly #names = new WeakMap<Credential, string>();

  next(_scope: unknown, { fresh }: CredentialRequest): Promise<Credential> {
    const credential: Credential = {
      password: Buffer.from(this.name, "utf8"),
      tls: undefined,
      expiresAtMs: Infinity,
      renewable: false,
      ...(this.trial ? { trial: true } : {}),
    };
    this.#names.set(credential, `${this.name}${fresh ? " fresh" : ""}`);
    return Promise.resolve(credential);
  }

  onChange(listener: (why: string) => void): () => void {
    this.#listener = listener;
    return () => (this.#listener = undefined);
  }

  change(name: string, trial: boolean): void {
    this.name = name;
    this.trial = trial;
    this.#listener?.(`${name} is there`);
  }

  outcome(credential: Credential, failure: Error | undefined): void {
    const code = (failure as { code?: string } | undefined)?.code ?? "accepted";
    this.outcomes.push(`${this.#names.get(credential) ?? "unknown"}: ${code}`);
    if (failure === undefined || this.name !== "new") return;
    this.name = "old";
    this.trial = false;
  }

  close(): void {
    this.closed = true;
    expect(this.#listener).toBeUndefined();
  }
}

class RotationWorld extends World {
  readonly secrets = new Secrets();
  readonly states: DeviceStatus[] = [];
  /** Passwords the hub refuses. */
  readonly bad = new Set<string>();

  constructor() {
    super();
    this.hub.script.onEffect = (effect, { session, driver }) => {
      if (effect.type !== "connect") return undefined;
      const password = Buffer.from(effect.request.password ?? []).toString("utf8");
      if (!this.bad.has(password)) return undefined;
      driver.apply(session.refuse(5, this.clock.nowMs()));
      return "taken";
    };
  }

  start(options: DeviceOptions = {}): Promise<DeviceClient> {
    return this.connect({
      onStatus: (status) => this.states.push(status),
      ...options,
      ...({ credentials: { hostName, ...identity, provider: this.secrets } } as object),
    });
  }

  get password(): string {
    return Buffer.from(this.hub.current.request?.password ?? []).toString("utf8");
  }
}

/** Sends all the time. */
class Load {
  readonly failures: unknown[] = [];
  sent = 0;
  #running = true;
  readonly #done: Promise<unknown>;

  constructor(world: World, client: DeviceClient) {
    const sender = async (): Promise<void> => {
      while (this.#running) {
        await client
          .sendTelemetry(`m${this.sent++}`)
          .catch((error: unknown) => this.failures.push(error));
        await world.clock.sleep(50);
      }
    };
    this.#done = Promise.all(Array.from({ length: 10 }, sender));
  }

  stop(): Promise<unknown> {
    this.#running = false;
    return this.#done;
  }
}

test.each([
  ["known to work", false],
  ["on trial", true],
])(
  "a new credential, %s, is changed over to under load: nothing fails, nothing is sent twice",
  async (_name, trial) => {
    const world = new RotationWorld();
    const client = await world.start();
    const load = new Load(world, client);
    await world.clock.advance(5_000);
    world.secrets.change("new", trial);
    await world.clock.advance(5_000);
    await world.settle(load.stop());
    expect(load.failures).toEqual([]);
    expect(world.hub.texts).toHaveLength(load.sent);
    expect(new Set(world.hub.texts).size).toBe(load.sent);
    expect(world.password).toBe("new");
    expect(world.hub.opened).toBe(2);
    expect(world.secrets.outcomes).toEqual(["old: accepted", "new: accepted"]);
    expect(world.states.map(({ state }) => state)).toEqual([
      "connecting",
      "connected",
      "renewing",
      "connected",
    ]);
    expect(world.states[2]).toMatchObject({ why: "new is there", tokenExpiresAt: undefined });
    expect(client.stats()).toMatchObject({ renewals: 1, reconnects: 0 });
  },
);

test("a new credential on trial that the hub refuses costs nothing: the old connection goes on", async () => {
  const world = new RotationWorld();
  world.bad.add("new");
  let connections = 0;
  const onConnected = (): number => (connections += 1);
  subscribe("hubwire:device:connected", onConnected);
  const client = await world.start();
  const load = new Load(world, client);
  await world.clock.advance(5_000);
  const { current } = world.hub;
  world.secrets.change("new", true);
  await world.clock.advance(20_000);
  await world.settle(load.stop());
  expect(load.failures).toEqual([]);
  expect(world.hub.texts).toHaveLength(load.sent);
  expect(world.hub.current).toBe(current);
  expect(world.hub.opened).toBe(2);
  expect(client.status()).toMatchObject({
    state: "connected",
    cause: { code: "device.refused_not_authorized" },
  });
  expect(world.secrets.outcomes).toEqual(["old: accepted", "new: device.refused_not_authorized"]);
  expect(client.stats()).toMatchObject({ connects: 1, renewals: 0 });
  unsubscribe("hubwire:device:connected", onConnected);
  expect(connections).toBe(1);
});

test("a new credential taken for good that the hub refuses: the old one is back at once", async () => {
  const world = new RotationWorld();
  world.bad.add("new");
  const client = await world.start({ reconnectDelay: { minMs: 60_000, maxMs: 60_000 } });
  const load = new Load(world, client);
  await world.clock.advance(5_000);
  world.secrets.change("new", false);
  await world.clock.advance(1_000);
  expect(client.status().state).toBe("connected");
  expect(world.password).toBe("old");
  await world.settle(load.stop());
  expect(load.failures).toEqual([]);
  expect(new Set(world.hub.texts).size).toBe(load.sent);
  expect(world.hub.opened).toBe(3);
});

test("a trial the hub never answers is given up, and the old connection goes on", async () => {
  const world = new RotationWorld();
  const client = await world.start({ attemptTimeoutMs: 10_000 });
  world.hub.script.onEffect = (effect) => (effect.type === "connect" ? "taken" : undefined);
  world.secrets.change("new", true);
  await world.clock.advance(9_000);
  const waiting = new Outcome(client.sendTelemetry("held while it is tried"));
  await world.clock.advance(1_001);
  expect(waiting.code).toBe("value");
  expect(client.status()).toMatchObject({
    state: "connected",
    cause: { code: "device.attempt_timeout" },
  });
  expect(world.hub.opened).toBe(2);
});

test("the hub closes the old connection before the trial's CONNACK arrives", async () => {
  const world = new RotationWorld();
  const client = await world.start();
  world.hub.script.onEffect = (effect, connection, hub) => {
    if (effect.type !== "connect") return undefined;
    hub.script.onEffect = () => undefined;
    hub.cut();
    world.clock.at(world.clock.nowMs() + 500, () => {
      connection.request = effect.request;
      connection.driver.apply(
        connection.session.accept(
          { sessionPresent: true, keepAliveTimeoutMs: 90_000 },
          world.clock.nowMs(),
        ),
      );
    });
    return "taken";
  };
  world.secrets.change("new", true);
  const sent = new Outcome(client.sendTelemetry("in between"));
  await world.clock.advance(600);
  expect(client.status().state).toBe("connected");
  expect(world.hub.opened).toBe(2);
  await world.clock.settle();
  expect(sent.code).toBe("value");
  expect(world.states.map(({ state }) => state)).not.toContain("waiting");
});

test("the old connection breaks while a trial is refused: the client reconnects as ever", async () => {
  const world = new RotationWorld();
  const client = await world.start();
  world.hub.script.onEffect = (effect, { session, driver }, hub) => {
    if (effect.type !== "connect") return undefined;
    hub.script.onEffect = () => undefined;
    hub.cut();
    world.clock.at(world.clock.nowMs() + 500, () =>
      driver.apply(session.refuse(5, world.clock.nowMs())),
    );
    return "taken";
  };
  world.secrets.change("new", true);
  await world.clock.advance(600);
  expect(client.status()).toMatchObject({ state: "waiting" });
  await world.settle(client.sendTelemetry("after all"));
  expect(world.password).toBe("old");
});

test("a new stream that cannot be opened leaves the old connection alone and is tried again", async () => {
  const world = new RotationWorld();
  const client = await world.start();
  let failing = true;
  world.hub.script.onOpen = () => {
    if (failing) throw new Error("no route");
  };
  world.secrets.change("new", true);
  world.secrets.outcome = (credential, failure) => {
    Secrets.prototype.outcome.call(world.secrets, credential, undefined);
    void failure;
  };
  await world.clock.advance(12_000);
  expect(client.status()).toMatchObject({
    state: "connected",
    cause: { code: "device.connection_lost" },
  });
  failing = false;
  await world.clock.advance(6_000);
  expect(world.password).toBe("new");
});

test("news that comes during a handshake, or while waiting, is not forgotten", async () => {
  const world = new RotationWorld();
  world.hub.script.onEffect = (effect, _connection, hub) => {
    if (effect.type !== "connect") return undefined;
    hub.script.onEffect = () => undefined;
    world.secrets.change("second", false);
    return undefined;
  };
  const client = await world.start({ reconnectDelay: { minMs: 600_000, maxMs: 600_000 } });
  await world.clock.advance(10);
  expect(world.password).toBe("second");
  world.hub.cut();
  await world.clock.advance(10);
  expect(client.status().state).toBe("waiting");
  world.secrets.change("third", false);
  await world.clock.advance(10);
  expect(world.password).toBe("third");
});

test("a provider that has news at every connect makes no more than one connection a second", async () => {
  const world = new RotationWorld();
  world.hub.script.onEffect = (effect) => {
    if (effect.type === "connect") world.secrets.change("again", false);
    return undefined;
  };
  const client = await world.start();
  await world.clock.advance(10_000);
  expect(world.hub.opened).toBeLessThanOrEqual(12);
  await world.settle(client.sendTelemetry("still at work"));
});

test("a refusal is not final at first when the provider has another credential", async () => {
  const world = new RotationWorld();
  world.bad.add("old");
  world.secrets.outcome = () => {
    world.secrets.name = "other";
    world.secrets.standby = true;
  };
  await world.start();
  expect(world.password).toBe("other");
  expect(world.clock.nowMs()).toBe(0);
});

test("a provider that always has another credential is not asked in a loop", async () => {
  const world = new RotationWorld();
  world.bad.add("old");
  world.secrets.standby = true;
  await world.start({ waitForConnection: false });
  await world.clock.advance(60_000);
  expect(world.hub.opened).toBeLessThan(20);
});

test("a provider is closed with its client, and what it throws harms nothing", async () => {
  const world = new RotationWorld();
  const where: string[] = [];
  world.secrets.outcome = () => {
    throw new Error("oops");
  };
  const client = await world.start({ onError: (_error, place) => where.push(place) });
  expect(where).toEqual(["credentials"]);
  await world.settle(client.close());
  expect(world.secrets.closed).toBe(true);
});

import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@hubwire/device";
import type { ConnectOptions, DeviceClient, DeviceStatus } from "@hubwire/device";
import { startHub } from "@hubwire/hub";
import type { Authentication, Hub } from "@hubwire/hub";
import { testCertificates } from "@hubwire/testkit";
import type { TestCertificate } from "@hubwire/testkit";
import { expect, test } from "vitest";
import { LogFollower, SteadyLoad } from "./steady-load.ts";

const isLong = process.env["HUBWIRE_LONG"] === "1";
const rounds = isLong ? 50 : 3;
const timeoutMs = isLong ? 600_000 : 60_000;
const inFlight = 20;
/** The hub neither forgives a late token nor lets a session outlive one. */
const strict = { clockToleranceS: 0, expiryGraceS: 0 };

/** A hub with one device on it, that sends all the time. */
class Scene implements AsyncDisposable {
  readonly folder: string;
  readonly hub: Hub;
  readonly statuses: DeviceStatus[] = [];
  readonly notices: unknown[] = [];
  #waiting: { isMet: (status: DeviceStatus) => boolean; resolve: () => void }[] = [];
  #device: { client: DeviceClient; log: LogFollower; load: SteadyLoad } | undefined;

  private constructor(folder: string, hub: Hub) {
    this.folder = folder;
    this.hub = hub;
  }

  static async open(): Promise<Scene> {
    const folder = mkdtempSync(join(tmpdir(), "hubwire-rotation-"));
    return new Scene(folder, await startHub({ ...strict, dataDirectory: join(folder, "data") }));
  }

  async register(authentication?: Authentication): Promise<Authentication> {
    const device = { deviceId: "d", ...(authentication === undefined ? {} : { authentication }) };
    const { identity } = await this.hub.createDevice(device);
    return identity.authentication;
  }

  /** What an operator does in the registry. */
  async change(authentication: Authentication): Promise<void> {
    const identity = await this.hub.identities.find({ deviceId: "d", moduleId: undefined });
    if (identity === undefined) throw new Error("it was registered");
    await this.hub.identities.update({ ...identity, authentication }, "*");
  }

  async connect(
    options: Pick<ConnectOptions, "connectionString" | "certificate">,
  ): Promise<DeviceClient> {
    const client = await connect({
      connectionString: options.connectionString ?? "",
      ...(options.certificate === undefined ? {} : { certificate: options.certificate }),
      ca: this.hub.caPem,
      tokenLifetimeS: 20,
      maxInflight: inFlight,
      onStatus: (status) => {
        this.statuses.push(status);
        this.#waiting = this.#waiting.filter(({ isMet, resolve }) => {
          const isOver = isMet(status);
          if (isOver) resolve();
          return !isOver;
        });
      },
      onError: (error) => this.notices.push(error),
    });
    const log = new LogFollower(this.hub.telemetry);
    this.#device = { client, log, load: new SteadyLoad(client, inFlight) };
    return client;
  }

  until(isMet: (status: DeviceStatus) => boolean): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ isMet, resolve }));
  }

  /** A hundred more messages are answered. */
  async work(): Promise<void> {
    const { log, load } = this.#device as { log: LogFollower; load: SteadyLoad };
    const enough = log.newest + 100;
    while (log.newest < enough && load.isRunning) {
      await new Promise<void>((resolve) => {
        const stop = this.hub.telemetry.onCommit(() => {
          stop();
          setImmediate(resolve);
        });
      });
    }
  }

  async finish(what: string): Promise<void> {
    const { log, load } = this.#device as { log: LogFollower; load: SteadyLoad };
    await load.stop();
    await log.finish();
    process.stdout.write(
      `${what}: ${load.sent} messages sent, ${log.newest} stored, ${log.repeats} stored twice\n`,
    );
    expect(load.failures).toEqual([]);
    expect(log.problem).toBeUndefined();
    expect(log.newest).toBe(load.sent);
    expect(this.notices).toEqual([]);
  }

  /** How connections ended, as the hub counted it. */
  async ends(): Promise<Record<string, number>> {
    const text = await this.hub.metricsText();
    const found = text.matchAll(/^hubwire_disconnects_total\{code="(.*)"\} (\d+)$/gmu);
    return Object.fromEntries([...found].map(([, code = "", count]) => [code, Number(count)]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#device?.client.close();
    await this.hub.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const newKey = (): string => randomBytes(32).toString("base64");

/** Why a connection ended that nobody meant to end. */
const troubles = (statuses: readonly DeviceStatus[]): string[] =>
  statuses.flatMap((status) => (status.state === "waiting" ? [status.cause.code] : []));

test(
  `${rounds} exchanges of the key in use under load: nothing lost, nothing failed, nothing cut`,
  async () => {
    await using scene = await Scene.open();
    const registered = await scene.register();
    if (registered.type !== "sas") throw new Error("a new device has keys");
    const keys = [registered.secondaryKey, registered.primaryKey];
    const client = await scene.connect({
      connectionString: await scene.hub.deviceConnectionString("d"),
    });
    const winners: string[] = [];
    const onRotated = ({ winner }: { winner: string }): void => void winners.push(winner);
    for (let round = 0; round < rounds; round += 1) {
      await scene.work();
      const sharedAccessKey = keys[round % 2] ?? "";
      await client.rotateCredentials({ sharedAccessKey }, { onRotated });
    }
    await scene.work();
    expect(winners).toEqual(Array.from({ length: rounds }, () => "next"));
    await scene.finish(`${rounds} keys exchanged`);
    await checkNoCuts(scene);
  },
  timeoutMs,
);

test(
  "both keys are regenerated by the two-key procedure under load: nothing lost, nothing failed, nothing cut",
  async () => {
    await using scene = await Scene.open();
    const registered = await scene.register();
    if (registered.type !== "sas") throw new Error("a new device has keys");
    let keys = registered;
    const client = await scene.connect({
      connectionString: await scene.hub.deviceConnectionString("d"),
    });
    await scene.work();
    // Over to the secondary key, then the primary is regenerated; and back again.
    await client.rotateCredentials({ sharedAccessKey: keys.secondaryKey });
    expect(troubles(scene.statuses)).toEqual([]);
    keys = { ...keys, primaryKey: newKey() };
    await scene.change(keys);
    await scene.work();
    await client.rotateCredentials({ sharedAccessKey: keys.primaryKey });
    keys = { ...keys, secondaryKey: newKey() };
    await scene.change(keys);
    await scene.work();
    await scene.finish("both keys regenerated");
    await checkNoCuts(scene);
  },
  timeoutMs,
);

test(
  "a key the hub does not know is refused under load: the connection in use does not notice",
  async () => {
    await using scene = await Scene.open();
    await scene.register();
    const client = await scene.connect({
      connectionString: await scene.hub.deviceConnectionString("d"),
    });
    await scene.work();
    const ends: string[] = [];
    const offered = client.rotateCredentials(
      { sharedAccessKey: newKey() },
      { onRotated: ({ winner }) => void ends.push(winner) },
    );
    await expect(offered).rejects.toMatchObject({
      code: "device.rotation_refused",
      cause: { code: "device.refused_not_authorized" },
    });
    await scene.work();
    expect(ends).toEqual(["current"]);
    expect(scene.statuses.filter(({ state }) => state === "waiting")).toEqual([]);
    expect(client.status().state).toBe("connected");
    await scene.finish("a wrong key refused");
    expect(await scene.ends()).not.toHaveProperty("connection.replaced");
  },
  timeoutMs,
);

test(
  "from a key to a certificate and back, under load",
  async () => {
    await using scene = await Scene.open();
    const registered = await scene.register();
    if (registered.type !== "sas") throw new Error("a new device has keys");
    const certificates = await testCertificates();
    const { cert, key, sha256Thumbprint } = await certificates.selfSigned({ cn: "d" });
    const client = await scene.connect({
      connectionString: await scene.hub.deviceConnectionString("d"),
    });
    await scene.work();
    // A hub knows one kind of a device at a time: the other kind is offered while the device is away.
    const lost = scene.until(({ state }) => state === "waiting");
    await scene.change(thumbprints(sha256Thumbprint));
    await lost;
    await client.rotateCredentials({ certificate: { cert, key } });
    await scene.work();
    const lostAgain = scene.until(({ state }) => state === "waiting");
    await scene.change(registered);
    await lostAgain;
    await client.rotateCredentials({ sharedAccessKey: registered.secondaryKey });
    await scene.work();
    await scene.finish("a key for a certificate, and back");
  },
  timeoutMs,
);

const thumbprints = (primary: string, secondary?: string): Authentication => ({
  type: "selfSigned",
  primaryThumbprint: primary,
  secondaryThumbprint: secondary,
});

const ways: [string, (folder: string, round: number, certificate: TestCertificate) => void][] = [
  [
    "as a Kubernetes secret",
    (folder, round, { cert, key }) => {
      const generation = `..${round}`;
      mkdirSync(join(folder, generation));
      writeFileSync(join(folder, generation, "tls.crt"), cert);
      writeFileSync(join(folder, generation, "tls.key"), key);
      symlinkSync(generation, join(folder, "..data_tmp"));
      renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
      if (round > 0) return;
      for (const name of ["tls.crt", "tls.key"]) {
        symlinkSync(join("..data", name), join(folder, name));
      }
    },
  ],
  [
    "one file after the other",
    (folder, _round, { cert, key }) => {
      for (const [name, pem] of [
        ["tls.key", key],
        ["tls.crt", cert],
      ] as const) {
        writeFileSync(join(folder, "new"), pem);
        renameSync(join(folder, "new"), join(folder, name));
      }
    },
  ],
];

test.each(ways)(
  `${rounds} times the files of the certificate are replaced %s under load: nothing lost, nothing failed, nothing cut`,
  async (what, write) => {
    await using scene = await Scene.open();
    const certificates = await testCertificates();
    // Told apart by their ends, which the status shows.
    const issues = await Promise.all(
      [60, 61, 62].map((days) => certificates.selfSigned({ cn: "d", days })),
    );
    const [first, second, last] = issues as [TestCertificate, TestCertificate, TestCertificate];
    const folder = join(scene.folder, "certificate");
    mkdirSync(folder);
    write(folder, 0, first);
    await scene.register(thumbprints(first.sha256Thumbprint, second.sha256Thumbprint));
    await scene.connect({
      connectionString: await scene.hub.deviceConnectionString("d"),
      certificate: { certFile: join(folder, "tls.crt"), keyFile: join(folder, "tls.key") },
    });
    const replace = async (round: number, issue: TestCertificate): Promise<void> => {
      const endMs = Math.floor(issue.notAfter.getTime() / 1000) * 1000;
      const changed = scene.until(
        (status) => status.state === "connected" && status.tokenExpiresAt?.getTime() === endMs,
      );
      write(folder, round, issue);
      await changed;
      await scene.work();
    };
    for (let round = 1; round <= rounds; round += 1) {
      await scene.work();
      await replace(round, round % 2 === 1 ? second : first);
    }
    expect(troubles(scene.statuses)).toEqual([]);
    // At last a certificate nobody has seen, and the two others are withdrawn.
    const inUse = rounds % 2 === 1 ? second : first;
    await scene.change(thumbprints(inUse.sha256Thumbprint, last.sha256Thumbprint));
    await replace(rounds + 1, last);
    await scene.change(thumbprints(last.sha256Thumbprint));
    await scene.work();
    await scene.finish(`${rounds + 1} certificates replaced ${what}`);
    await checkNoCuts(scene);
  },
  timeoutMs,
);

/** Withdrawing a credential the device does not use any more ends nothing, and nothing else ended a connection. */
async function checkNoCuts(scene: Scene): Promise<void> {
  expect(await scene.ends()).not.toHaveProperty(["connection.identity_revoked"]);
  expect(troubles(scene.statuses)).toEqual([]);
}

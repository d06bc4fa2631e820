import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDataDirectoryLocked } from "@hubwire/hub";
import type { SeededRandom } from "@hubwire/testkit";
import { BackEnd } from "./back-end.ts";
import { HubProcess, type HubAddress } from "./hub-process.ts";
import { IdentityLedger, type ListedDevice } from "./identity-ledger.ts";
import { never, pickKillPoint } from "./kill-points.ts";
import { Life, type KillPoint } from "./life.ts";
import { inflightMax } from "./mqtt-device.ts";
import { Promises } from "./promises.ts";
import { SessionDevice } from "./session-device.ts";
import { TelemetryDevice } from "./telemetry-device.ts";
import { TelemetryLedger } from "./telemetry-ledger.ts";
import { watchFiles } from "./watch-files.ts";

const telemetryDevices = 6;
const sessionDevices = 3;
/** Of one device in one life. All together stay well below what retention takes. */
const messagesPerLife = 500;
const churnMax = 40;

/** One data directory over the lives of many hub processes, and everything that was promised on it. */
export class Lineage {
  readonly directory = mkdtempSync(join(tmpdir(), "hubwire-crash-"));
  readonly #random: SeededRandom;
  readonly #bug: string | undefined;
  readonly #promises = new Promises();
  readonly telemetry = new TelemetryLedger(this.#promises);
  readonly #identities = new IdentityLedger(this.#promises);
  readonly #senders: TelemetryDevice[];
  readonly #sessions: SessionDevice[];
  #first: HubAddress | undefined;
  #churned = 0;

  constructor(random: SeededRandom, bug?: string) {
    this.#random = random;
    this.#bug = bug;
    const key = (): string => Buffer.from(random.bytes(32)).toString("base64");
    this.#senders = Array.from(
      { length: telemetryDevices },
      (_, index) => new TelemetryDevice(`sender-${index}`, key(), this.telemetry),
    );
    this.#sessions = Array.from(
      { length: sessionDevices },
      (_, index) => new SessionDevice(`session-${index}`, key(), this.#promises, random.fork()),
    );
  }

  /** A hub starts, is checked, works and is killed. Returns where. */
  async round(): Promise<KillPoint> {
    const point = pickKillPoint(this.#random);
    await this.#live(point);
    return point;
  }

  /** A last start, after which everything under way comes to its end. */
  async finish(): Promise<void> {
    await this.#live(never);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #live(point: KillPoint): Promise<void> {
    const hub = new HubProcess({ directory: this.directory, bug: this.#bug });
    const life = new Life(point, () => hub.kill());
    const unwatch = watchFiles(this.directory, life);
    let backEnd: BackEnd | undefined;
    try {
      const address = await hub.ready();
      this.#checkSameHub(address);
      backEnd = new BackEnd(address);
      await this.#verify(address, backEnd, life);
      this.#promises.check();
      if (point === never) await this.#finish(backEnd, life);
      else await this.#load(backEnd, point, life);
    } catch (error) {
      life.fail(error);
    } finally {
      life.end();
      unwatch();
      await hub.ended();
      backEnd?.close();
      // What the hub said before it died is still on its way, and counts.
      const devices = [...this.#senders, ...this.#sessions];
      await Promise.all(devices.map(({ mqtt }) => mqtt.ended()));
    }
    this.#promises.check();
    if (life.failure !== undefined) throw life.failure;
    if (await isDataDirectoryLocked(this.directory)) {
      this.#promises.broke("the lock outlived its holder");
    }
    this.#promises.check();
  }

  #checkSameHub(address: HubAddress): void {
    const first = (this.#first ??= address);
    if (first.ownerKey !== address.ownerKey) this.#promises.broke("the owner's key has changed");
    // A planted bug sits in stores that come without certificates.
    if (this.#bug === undefined && first.caPem !== address.caPem) {
      this.#promises.broke("the hub's certificate authority has changed");
    }
  }

  async #verify(address: HubAddress, backEnd: BackEnd, life: Life): Promise<void> {
    this.#identities.check((await backEnd.ok("GET", "/devices")) as ListedDevice[]);
    this.telemetry.check(await backEnd.events());
    this.#promises.check();
    const devices = [...this.#senders, ...this.#sessions];
    for (const { mqtt } of devices) {
      if (!this.#identities.has(mqtt.id)) await this.#register(backEnd, life, mqtt.id, mqtt.key);
    }
    await life.together(devices.map((device) => device.connect(address, life)));
    this.#promises.check();
    await life.together(this.#sessions.map((device) => device.verify(backEnd)));
  }

  async #load(backEnd: BackEnd, point: KillPoint, life: Life): Promise<void> {
    await life.together(this.#sessions.map((device) => device.subscribeToAll()));
    if (point.phase === "start") return life.end();
    life.loadBegins();
    const again = async (work: () => Promise<unknown>): Promise<void> => {
      while (!life.over) await work();
    };
    const [twin, ...changing] = this.#sessions as [SessionDevice, ...SessionDevice[]];
    const window = this.#random.pick([2, 10, inflightMax]);
    for (const sender of this.#senders) sender.load(messagesPerLife, window);
    await life.together([
      again(() => twin.report()),
      again(() => twin.patchDesired(backEnd)),
      again(() => twin.readTwin(backEnd)),
      again(() => this.#random.pick(this.#sessions).invoke(backEnd)),
      again(() => this.#churn(backEnd, life)),
      ...changing.map((device) => again(() => device.changeSubscription())),
      ...this.#sessions.map((device) =>
        again(async () => {
          await device.sendC2d(backEnd);
          await device.countC2d(backEnd);
        }),
      ),
      // There may be fewer new files than the kill waits for.
      ...(point.kind === "segment" ? [this.#delivered(life).then(() => life.end())] : []),
    ]);
  }

  async #finish(backEnd: BackEnd, life: Life): Promise<void> {
    await life.together(this.#sessions.map((device) => device.subscribeToAll()));
    await life.together(this.#sessions.map((device) => device.drainC2d(backEnd)));
    await this.#delivered(life);
    this.telemetry.check(await backEnd.events());
  }

  #delivered(life: Life): Promise<void> {
    return life.until(
      () => "all telemetry is acknowledged",
      () => this.#senders.every(({ isDone }) => isDone),
    );
  }

  async #register(backEnd: BackEnd, life: Life, id: string, key: string): Promise<void> {
    await this.#write(backEnd, life, id, key, "registered", undefined);
  }

  /** Registers, changes and deletes devices that nobody else uses. */
  async #churn(backEnd: BackEnd, life: Life): Promise<void> {
    const there = this.#identities.there.filter((id) => id.startsWith("churn-"));
    const reason = `change ${++this.#churned}`;
    if (there.length < 3 || (there.length < churnMax && this.#random.chance(0.4))) {
      const key = Buffer.from(this.#random.bytes(32)).toString("base64");
      return this.#write(backEnd, life, `churn-${this.#churned}`, key, reason, undefined);
    }
    const id = this.#random.pick(there);
    if (this.#random.chance(0.3)) {
      this.#identities.asked(id, undefined, "");
      await backEnd.ok("DELETE", `/devices/${id}`, undefined, "*");
    } else {
      return this.#write(backEnd, life, id, this.#identities.keyOf(id), reason, "*");
    }
    this.#identities.answered(id);
    life.event("identity");
  }

  async #write(
    backEnd: BackEnd,
    life: Life,
    deviceId: string,
    key: string,
    statusReason: string,
    ifMatch: string | undefined,
  ): Promise<void> {
    this.#identities.asked(deviceId, statusReason, key);
    const symmetricKey = { primaryKey: key, secondaryKey: key };
    const authentication = { type: "sas", symmetricKey };
    const device = { deviceId, status: "enabled", statusReason, authentication };
    await backEnd.ok("PUT", `/devices/${deviceId}`, device, ifMatch);
    this.#identities.answered(deviceId);
    life.event("identity");
  }
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SeededRandom } from "@hubwire/testkit";
import { BackEnd } from "./back-end.ts";
import { Forwarder } from "./forwarder.ts";
import { HubProcess } from "./hub-process.ts";
import type { HubAddress } from "./hub-process.ts";
import { OutboxDevice } from "./outbox-device.ts";
import type { Accepted } from "./outbox-device.ts";
import { BrokenPromise } from "./promises.ts";

const deviceId = "outbox-1";
/** Everything is kept, to be counted at the end. */
const retentionBytes = 2 ** 30;
/** Numbers of one life; no life gives so many messages. */
const numbersPerLife = 1_000_000;

/** One device and one hub, each over the lives of many processes, and everything that was accepted. */
export class OutboxLineage {
  readonly #directory = mkdtempSync(join(tmpdir(), "hubwire-outbox-"));
  readonly #random: SeededRandom;
  readonly #bug: string | undefined;
  readonly #key: string;
  readonly #segmentBytes: number;
  readonly #accepted: Accepted[] = [];
  #forwarder: Forwarder | undefined;
  #hub: HubProcess | undefined;
  #address: HubAddress | undefined;
  #device: OutboxDevice | undefined;
  #lives = 0;
  #rounds = 0;

  constructor(random: SeededRandom, bug?: string) {
    this.#random = random;
    this.#bug = bug;
    this.#key = Buffer.from(random.bytes(32)).toString("base64");
    this.#segmentBytes = random.pick([65_536, 1_048_576]);
  }

  get accepted(): number {
    return this.#accepted.length + (this.#device?.accepted.length ?? 0);
  }

  /** Device and hub work, then one of them is killed. Returns which, and when. */
  async round(): Promise<string> {
    const random = this.#random;
    await this.#startHub();
    const isEarly = random.chance(0.2);
    const device = await this.#startDevice(!isEarly);
    this.#rounds += 1;
    const victim = this.#rounds % 2 === 0 ? "device" : "hub";
    const count = 1 + random.int(300);
    if (isEarly) await new Promise((resolve) => setTimeout(resolve, random.int(400)));
    else await device.acceptedMany(device.accepted.length + count);
    if (victim === "device") await this.#killDevice();
    else {
      await this.#killHub();
      // Alone it goes on accepting.
      await new Promise((resolve) => setTimeout(resolve, random.int(200)));
      if (random.chance(0.3)) await this.#killDevice();
    }
    return `${victim}${isEarly ? ", early" : ""}`;
  }

  /** Everything comes to the hub, and is counted. */
  async finish(): Promise<void> {
    await this.#startHub();
    const device = await this.#startDevice(true);
    await device.drain();
    this.#accepted.push(...device.accepted);
    await device.ended();
    this.#device = undefined;
    const backEnd = new BackEnd(this.#address as HubAddress);
    try {
      this.#check((await backEnd.events()).map(({ bodyBase64 }) => bodyBase64));
    } finally {
      backEnd.close();
    }
  }

  async end(): Promise<void> {
    this.#device?.kill();
    this.#hub?.kill();
    await Promise.all([this.#device?.ended(), this.#hub?.ended()]);
    this.#forwarder?.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #check(bodies: readonly string[]): void {
    const firstAt = new Map<string, number>();
    for (const [at, body] of bodies.entries()) {
      const [priority, n] = Buffer.from(body, "base64").toString("latin1").split("/");
      const name = `${priority}/${n}`;
      if (!firstAt.has(name)) firstAt.set(name, at);
    }
    const last = new Map<string, number>();
    for (const { priority, n } of this.#accepted.toSorted((a, b) => a.n - b.n)) {
      const at = firstAt.get(`${priority}/${n}`);
      if (at === undefined)
        throw new BrokenPromise(`${priority}/${n} was accepted and is not there`);
      if (at < (last.get(priority) ?? -1)) {
        throw new BrokenPromise(`${priority}/${n} came before one that was accepted earlier`);
      }
      last.set(priority, at);
    }
  }

  async #startHub(): Promise<void> {
    if (this.#hub !== undefined) return;
    this.#forwarder ??= await Forwarder.listen();
    const directory = join(this.#directory, "hub");
    const hub = new HubProcess({ directory, bug: undefined, retentionBytes });
    this.#hub = hub;
    const isFirst = this.#address === undefined;
    this.#address = await hub.ready();
    if (isFirst) await this.#register(this.#address);
    this.#forwarder.target = this.#address.mqttPort;
  }

  async #register(address: HubAddress): Promise<void> {
    const backEnd = new BackEnd(address);
    const symmetricKey = { primaryKey: this.#key, secondaryKey: this.#key };
    await backEnd.ok("PUT", `/devices/${deviceId}`, {
      deviceId,
      status: "enabled",
      authentication: { type: "sas", symmetricKey },
    });
    backEnd.close();
  }

  async #startDevice(ready: boolean): Promise<OutboxDevice> {
    const { caPem } = this.#address as HubAddress;
    this.#device ??= new OutboxDevice({
      connectionString: `HostName=localhost;DeviceId=${deviceId};SharedAccessKey=${this.#key}`,
      port: this.#forwarder?.port ?? 0,
      caPem,
      directory: join(this.#directory, "outbox"),
      seed: this.#random.int(2 ** 31),
      firstNumber: ++this.#lives * numbersPerLife,
      segmentBytes: this.#segmentBytes,
      bug: this.#bug,
    });
    if (ready) await this.#device.ready();
    return this.#device;
  }

  async #killDevice(): Promise<void> {
    const device = this.#device;
    if (device === undefined) return;
    device.kill();
    await device.ended();
    // What it said before it died counts.
    this.#accepted.push(...device.accepted);
    this.#device = undefined;
  }

  async #killHub(): Promise<void> {
    const hub = this.#hub;
    if (this.#forwarder !== undefined) this.#forwarder.target = undefined;
    hub?.kill();
    await hub?.ended();
    this.#hub = undefined;
  }
}

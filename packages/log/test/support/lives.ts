import { Log, LogError } from "@hubwire/log";
import type { LogFileSystem, LogOptions } from "@hubwire/log";
import { crashModes, SimulatedDisk } from "@hubwire/testkit";
import type { CrashMode, SeededRandom } from "@hubwire/testkit";

import { Ledger } from "./ledger.ts";
import { ManualTimers } from "./manual-timers.ts";
import { turns, until } from "./turns.ts";

export const directory = "/data/log";

/** Small segments, so that rolling, retention and preparing are never far away. */
export const smallLog: Omit<LogOptions, "directory"> = {
  partitions: 3,
  segmentBytes: 4096,
  segmentBytesMax: 8192,
  cacheBytesMax: 2048,
};

/** One log over several lives of its process, on a disk that may do anything, with a ledger beside it. */
export class Lives {
  readonly disk = new SimulatedDisk({ schedule: (complete) => setImmediate(complete) });
  readonly ledger: Ledger;
  #timers = new ManualTimers();
  readonly #random: SeededRandom;
  readonly #options: Omit<LogOptions, "directory">;
  #log: Log | undefined;
  /** Grows when a process starts and when it dies. */
  #life = 0;
  #records = 0;
  #wallMs = 1_700_000_000_000;

  constructor(random: SeededRandom, options: Omit<LogOptions, "directory"> = smallLog) {
    this.#random = random;
    this.#options = options;
    this.ledger = new Ledger(options.partitions ?? 1);
    this.disk.place("/data/other", new Uint8Array(1));
  }

  get log(): Log {
    if (!this.#log) throw new Error("no log is open");
    return this.#log;
  }

  /** Opens the log in a new process, again while a planned fault is in the way; false when the disk halted first. */
  async start(wrap: (disk: LogFileSystem) => LogFileSystem = (disk) => disk): Promise<boolean> {
    const fileSystem = wrap(this.disk.forProcess());
    const life = ++this.#life;
    for (let attempt = 1; ; attempt++) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
        const log = await this.#open(fileSystem, life);
        if (!log) return false;
        // What a dead process still has to say nobody hears.
        const alive = (): boolean => life === this.#life;
        log.onCommit((ordinal) => alive() && this.ledger.acknowledged(ordinal));
        log.onFailure((first, last) => alive() && this.ledger.lost(first, last));
        this.#log = log;
        return true;
      } catch (error) {
        const isFault = error instanceof LogError && error.retryable;
        if (!isFault || attempt > 20) throw error;
      }
    }
  }

  async #open(fileSystem: LogFileSystem, life: number): Promise<Log | undefined> {
    const opening = Log.open({
      directory,
      ...this.#options,
      fileSystem,
      schedule: this.#timers.schedule,
      randomUint32: () => this.#random.int(2 ** 32),
      nowMs: () => (this.#wallMs += this.#random.int(20) - 5),
      onHealth: ({ ok }) => {
        if (ok && life === this.#life) this.ledger.healthy();
      },
    });
    return this.#unlessHalted(opening, "open");
  }

  /** Appends, waits, trims and now and then lets the disk fail, until done or the disk halts. */
  async work(steps: number, faultChance = 0): Promise<void> {
    const random = this.#random;
    for (let step = 0; step < steps && !this.disk.isHalted; step++) {
      if (random.chance(faultChance)) this.#breakDisk();
      for (let count = random.int(6); count > 0; count--) this.append();
      // oxlint-disable-next-line no-await-in-loop -- one step after the other
      await (random.chance(0.5) ? turns(random.int(4)) : this.settle());
      if (random.chance(0.15)) this.#trim();
    }
  }

  #trim(): void {
    for (let p = 0; p < this.log.partitions; p++) {
      const { firstSequenceNumber, nextSequenceNumber } = this.log.partition(p);
      const kept = this.#random.int(nextSequenceNumber - firstSequenceNumber + 1);
      this.log.trimBefore(nextSequenceNumber - (kept >> 1), p);
    }
  }

  append(): void {
    const random = this.#random;
    const partition = random.int(this.log.partitions);
    const longest = random.chance(0.1) ? 3_000 : 300;
    const content = `${this.#records++}:`.padEnd(random.int(longest), "record ");
    const at = random.int(content.length);
    const bytes = Buffer.from(`skip${content.slice(at)}skip`);
    try {
      const head = Buffer.from(content.slice(0, at));
      const ordinal = this.log.append(partition, head, bytes, 4, bytes.length - 4);
      this.ledger.accepted(ordinal, partition, content);
    } catch (error) {
      if (!(error instanceof LogError) || error.code !== "log.unhealthy") throw error;
    }
  }

  /** Until everything is durable, or lost and the log healthy again; or the disk halts. */
  async settle(): Promise<void> {
    await until(() => {
      if (!this.log.healthy) this.#timers.advance(this.#timers.nextDelayMs ?? 0);
      const isQuiet = this.log.healthy && this.log.stats().pendingBytes === 0;
      return isQuiet || this.disk.isHalted;
    }, "everything durable");
  }

  /** The process dies, now; the machine with it, unless this is a `kill`. */
  die(how: CrashMode | "kill" = this.#anyDeath()): void {
    if (this.#log) this.ledger.noteFirst(this.#log);
    this.ledger.crashed();
    if (how === "kill") this.disk.kill();
    else this.disk.crash(how, this.#random.int(2 ** 32));
    this.#timers = new ManualTimers();
    this.#life++;
    this.#log = undefined;
  }

  /** Everything that was promised before this life is there. Ends early when the disk halts: reads do not return then. */
  async checkStart(): Promise<void> {
    await this.#unlessHalted(this.ledger.check(this.log), "check");
    if (!this.disk.isHalted) this.ledger.healthy();
  }

  /** Everything promised is there, but for what this life's trimming took. */
  async checkNow(): Promise<void> {
    this.ledger.noteFirst(this.log);
    await this.checkStart();
  }

  #anyDeath(): CrashMode | "kill" {
    return this.#random.chance(0.25) ? "kill" : this.#random.pick(crashModes);
  }

  async #unlessHalted<T>(work: Promise<T>, what: string): Promise<T | undefined> {
    let isSettled = false;
    const settled = (): void => void (isSettled = true);
    work.then(settled, settled);
    await until(() => isSettled || this.disk.isHalted, what);
    return isSettled ? work : undefined;
  }

  #breakDisk(): void {
    const fault = this.#random.pick([
      { operation: "write", code: "EIO" },
      { operation: "datasync", code: "EIO" },
      { operation: "syncDirectory", code: "EIO" },
      { operation: "rename", code: "EIO" },
      { operation: "create", code: "ENOSPC" },
      { operation: "unlink", code: "EIO" },
    ] as const);
    this.disk.fail({ ...fault, after: this.#random.int(3), times: 1 + this.#random.int(2) });
  }
}

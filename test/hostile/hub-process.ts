import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { HubConfig } from "@hubwire/hub";
import { LineProcess } from "../support/line-process.ts";

export type HubProcess = {
  pid: number;
  mqttPort: number;
  httpsPort: number;
  caPem: string;
  connectionStrings: Record<string, string>;
  /** Open connections whose TLS handshake is done. */
  streams(): Promise<number>;
  /** Collects garbage; resolves with the bytes JavaScript still holds. */
  collect(): Promise<number>;
  /** Lets it send C2D messages, desired properties and method calls to these devices from now on. */
  feed(deviceIds: readonly string[]): void;
  /** How many numbered messages of a device are stored. */
  count(deviceId: string): Promise<{ count: number; inOrder: boolean }>;
  /** Ends it as an operator would; resolves with its exit code. */
  stop(): Promise<number | null>;
  /** Resolves when it is gone, and what it held with it. */
  kill(): Promise<void>;
};

/** A hub as a process of its own (`hub.scenario.ts`); its log lines go to the file. */
export async function startHubProcess(options: {
  config: HubConfig;
  devices: readonly string[];
  logFile: string;
}): Promise<HubProcess> {
  const { config, devices, logFile } = options;
  const child = new LineProcess(
    "sh",
    [
      "-c",
      'exec "$0" --expose-gc --conditions=@hubwire/source --disable-warning=ExperimentalWarning "$1" 2>"$HUB_LOG"',
      process.execPath,
      join(import.meta.dirname, "hub.scenario.ts"),
    ],
    { HUB: JSON.stringify({ config, devices }), HUB_LOG: logFile },
  );
  const ready = await child
    .line("the hub is ready", ({ event }) => event === "ready", 20_000)
    .catch((error: unknown) => {
      child.kill();
      throw new Error(`${String(error)}\n${readFileSync(logFile, "utf8")}`);
    });
  const ask = async (command: object, event: string): Promise<Record<string, unknown>> => {
    // Only an answer that comes after the question is one.
    const seen = child.lines.length;
    child.tell(command);
    return child.line(
      event,
      (line) => line["event"] === event && child.lines.indexOf(line) >= seen,
      60_000,
    );
  };
  return {
    ...(ready as Pick<
      HubProcess,
      "pid" | "mqttPort" | "httpsPort" | "caPem" | "connectionStrings"
    >),
    feed: (deviceIds) => child.tell({ do: "feed", deviceIds }),
    async streams() {
      return (await ask({ do: "streams" }, "streams"))["streams"] as number;
    },
    async collect() {
      return (await ask({ do: "collect" }, "collected"))["kept"] as number;
    },
    async count(deviceId) {
      const counted = await ask({ do: "count", deviceId }, "counted");
      return counted as { count: number; inOrder: boolean };
    },
    stop() {
      child.tell({ do: "stop" });
      return child.ended();
    },
    async kill() {
      child.kill();
      await child.ended();
    },
  };
}

const memoryOf = (pid: number, field: "VmRSS" | "VmHWM"): number => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
};

/** Resident bytes of a process now. */
export const residentBytes = (pid: number): number => memoryOf(pid, "VmRSS");

/** The most resident bytes since `forgetPeak`. */
export const peakBytes = (pid: number): number => memoryOf(pid, "VmHWM");
export const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, "5");

import { randomBytes } from "node:crypto";
import type { ConnectOptions } from "@hubwire/device";
import { fakeHub, TestClock } from "@hubwire/device/testing";
import { memoryStreamPair } from "@hubwire/transport";
import type { ByteStream } from "@hubwire/transport";
import { createHubCore } from "../../packages/hub/src/core.ts";
import { silentLogger } from "../../packages/hub/src/domain/observe.ts";
import { createMemoryStores } from "../../packages/hub/src/stores/memory/index.ts";
import { readAllTelemetry } from "../support/find-telemetry.ts";

export type StoredMessage = {
  text: string;
  properties: Record<string, string>;
  messageId: string | undefined;
  contentType: string | undefined;
};

type Json = Record<string, unknown>;

/** A hub as the two kinds of hub have it in common: one device, a back end that plays with it. */
export type HubSide = {
  readonly clock: TestClock;
  readonly connectOptions: ConnectOptions;
  sendC2d(text: string, properties: Record<string, string>, messageId: string): Promise<void>;
  /** Cloud-to-device messages not completed yet. */
  c2dCount(): Promise<number>;
  invokeMethod(name: string, payload: unknown, timeoutS: number): Promise<unknown>;
  setDesired(patch: Json): Promise<void>;
  twin(): Promise<{ desired: Json; reported: Json }>;
  telemetry(): Promise<StoredMessage[]>;
  cut(): void;
  disable(disabled: boolean): Promise<void>;
};

const seed = 5;
const deviceId = "d1";
const wallMs = Date.UTC(2026, 0, 1);

/** Both sides draw the same numbers, so that the device waits for the same times. */
const numbers = (): (() => number) => {
  let state = seed;
  return () => {
    state = (state * 48_271) % 0x7fffffff;
    return state / 0x7fffffff;
  };
};

export async function fakeSide(): Promise<HubSide> {
  const hub = fakeHub({ wallMs });
  const connectOptions = { ...hub.connectOptions(deviceId), random: numbers() };
  const device = hub.device(deviceId);
  const sent: ReturnType<typeof hub.sendC2d>[] = [];
  return {
    clock: hub.clock,
    connectOptions,
    sendC2d: async (text, properties, messageId) => {
      sent.push(hub.sendC2d(text, { properties, messageId }));
    },
    c2dCount: async () => sent.filter(({ state }) => state !== "completed").length,
    invokeMethod: (name, payload, timeoutS) =>
      hub.invokeMethod(name, payload, { timeoutMs: timeoutS * 1_000 }),
    setDesired: async (patch) => void hub.setDesired(patch),
    twin: async () => ({
      desired: { ...hub.desired, $version: device.desiredVersion },
      reported: { ...hub.reported, $version: device.reportedVersion },
    }),
    telemetry: async () =>
      hub.telemetry.map((message) => ({
        text: message.text(),
        properties: { ...message.properties },
        messageId: message.messageId,
        contentType: message.system.contentType,
      })),
    cut: () => hub.cut(),
    disable: async (disabled) => (disabled ? device.disable() : device.enable()),
  };
}

/** The real hub's own core, over memory stores and cables in memory. */
export async function coreSide(): Promise<HubSide> {
  const clock = new TestClock({ wallMs });
  const hostName = "fake-hub.example";
  const core = await createHubCore({
    stores: createMemoryStores({ clock, partitions: 1 }),
    clock,
    logger: silentLogger,
    hostNames: [hostName],
    // The fake hub forgives nothing.
    auth: { clockToleranceS: 0, expiryGraceS: 0 },
    random: { bytes: (length) => randomBytes(length), packetId: () => 1 },
  });
  const ref = { deviceId, moduleId: undefined };
  const identity = await core.identities.create({
    ...ref,
    status: "enabled",
    statusReason: undefined,
    authentication: undefined,
    capabilities: { iotEdge: false },
    managedBy: undefined,
  });
  if (identity.authentication.type !== "sas") throw new Error("a device is made with keys");
  let latest: ByteStream | undefined;
  const open = async (): Promise<ByteStream> => {
    const [hubs, devices] = memoryStreamPair({ clock });
    latest = hubs;
    core.mqtt.handleStream(hubs);
    return devices;
  };
  const connectOptions: ConnectOptions = {
    credentials: { hostName, deviceId, sharedAccessKey: identity.authentication.primaryKey },
    clock,
    openStream: open,
    random: numbers(),
  };
  return {
    clock,
    connectOptions,
    sendC2d: async (text, properties, messageId) => {
      await core.c2d.send(deviceId, {
        properties: { system: { messageId }, application: properties },
        ack: undefined,
        expiresAtMs: undefined,
        body: Buffer.from(text),
      });
    },
    c2dCount: () => core.c2d.count(deviceId),
    invokeMethod: (methodName, payload, responseTimeoutS) =>
      core.methods.invoke(
        ref,
        {
          methodName,
          payload: Buffer.from(JSON.stringify(payload)),
          responseTimeoutS,
          connectTimeoutS: 0,
        },
        new AbortController().signal,
      ),
    setDesired: async (desired) => {
      await core.twins.patch(ref, { properties: { desired } }, undefined);
    },
    twin: async () => {
      const { twin } = await core.twins.read(ref);
      const { desired, reported } = twin["properties"] as { desired: Json; reported: Json };
      const { $metadata: _d, ...plainDesired } = desired;
      const { $metadata: _r, ...plainReported } = reported;
      return { desired: plainDesired, reported: plainReported };
    },
    telemetry: async () =>
      (await readAllTelemetry(core.telemetry)).map(({ body, properties }) => ({
        text: Buffer.from(body).toString("utf8"),
        properties: { ...properties.application },
        messageId: properties.system.messageId,
        contentType: properties.system.contentType,
      })),
    cut: () => latest?.destroy(),
    disable: async (disabled) => {
      const { status: _, ...rest } = identity;
      await core.identities.update({ ...rest, status: disabled ? "disabled" : "enabled" }, "*");
    },
  };
}

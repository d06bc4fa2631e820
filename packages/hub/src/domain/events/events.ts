import {
  formatD2cProperties,
  freshTwin,
  partitionForDevice,
  twinForService,
} from "@hubwire/protocol";
import { twinTimestamp } from "@hubwire/protocol";
import type { TwinDocument } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import { authMethods } from "../auth/auth-method.ts";
import type { Logger } from "../observe.ts";
import type { TelemetryStore } from "../ports.ts";
import { identityKey } from "../services.ts";
import type { Identity, IdentityRef } from "../services.ts";
import { encodeRecordHead } from "../telemetry/record.ts";
import type { MessageSource } from "../telemetry/record.ts";
import { factsOf } from "../twins/facts.ts";
import { twinChange } from "./twin-change.ts";

/**
 * Which events beside telemetry the built-in endpoint carries. All are off by default: on Azure each needs a route of its
 * own, and only telemetry has one from the beginning.
 */
export type EventSwitches = {
  twinChange?: boolean;
  deviceLifecycle?: boolean;
  connectionState?: boolean;
};

export type LifecycleOperation = "create" | "delete";

export type HubEvents = {
  readonly twinChanged: (
    ref: IdentityRef,
    generationId: string,
    opType: "updateTwin" | "replaceTwin",
    before: TwinDocument,
    after: TwinDocument,
  ) => void;
  readonly lifecycle: (operation: LifecycleOperation, identity: Identity) => void;
  /** `sequenceNumber`: 64 hexadecimal digits that can be compared as text. */
  readonly connectionState: (
    ref: IdentityRef,
    generationId: string,
    isConnected: boolean,
    sequenceNumber: string,
  ) => void;
};

export type HubEventsOptions = {
  store: Pick<TelemetryStore, "append" | "partitionCount">;
  hubName: string;
  switches: EventSwitches;
  clock: Pick<Clock, "wallMs">;
  logger: Pick<Logger, "warn">;
  newCorrelationId: () => string;
};

type Event = {
  source: MessageSource;
  schema: string;
  opType: string;
  ref: IdentityRef;
  generationId: string;
  body: object;
};

const noPresence = {
  connected: false,
  connectionStateUpdatedAtMs: undefined,
  lastActivityAtMs: undefined,
};

/**
 * Twin-change, life-cycle and connection-state events, in the telemetry log beside the telemetry of the same device, so that
 * they keep its order (Azure IoT Hub docs, "Non-telemetry events"). What they tell of has been committed already; an event
 * the log cannot take is told to the log file and otherwise lost.
 */
export function createHubEvents(options: HubEventsOptions): HubEvents {
  const { store, hubName, switches, clock, logger } = options;

  const emit = ({ source, schema, opType, ref, generationId, body }: Event): void => {
    try {
      const application = {
        hubName,
        deviceId: ref.deviceId,
        ...(ref.moduleId !== undefined && { moduleId: ref.moduleId }),
        opType,
        "iothub-message-schema": schema,
        operationTimestamp: twinTimestamp(clock.wallMs()),
      };
      const system = {
        contentType: "application/json",
        contentEncoding: "utf-8",
        correlationId: options.newCorrelationId(),
        userId: hubName,
      };
      const head = encodeRecordHead({
        deviceId: ref.deviceId,
        moduleId: ref.moduleId,
        generationId,
        authMethod: authMethods[0],
        modelId: undefined,
        bag: formatD2cProperties({ system, application }),
        retain: false,
        will: false,
        messageSource: source,
      });
      const bytes = Buffer.from(JSON.stringify(body));
      const partition = partitionForDevice(ref.deviceId, store.partitionCount);
      store.append(partition, head, bytes, 0, bytes.length);
    } catch (error) {
      logger.warn(
        { event: "hub_event_lost", opType, identity: identityKey(ref), reason: String(error) },
        "An event could not be stored",
      );
    }
  };

  return {
    twinChanged(ref, generationId, opType, before, after) {
      if (switches.twinChange !== true) return;
      const source = "twinChangeEvents";
      const body = twinChange(opType, before, after);
      emit({ source, schema: "twinChangeNotification", opType, ref, generationId, body });
    },
    lifecycle(operation, identity) {
      if (switches.deviceLifecycle !== true) return;
      const kind = identity.moduleId === undefined ? "Device" : "Module";
      const body = twinForService(
        freshTwin(twinTimestamp(clock.wallMs())),
        factsOf(identity, noPresence, 0, undefined),
      );
      emit({
        source: "deviceLifecycleEvents",
        schema: "deviceLifecycleNotification",
        opType: `${operation}${kind}Identity`,
        ref: identity,
        generationId: identity.generationId,
        body,
      });
    },
    connectionState(ref, generationId, isConnected, sequenceNumber) {
      if (switches.connectionState !== true) return;
      emit({
        source: "deviceConnectionStateEvents",
        schema: "deviceConnectionStateNotification",
        opType: isConnected ? "deviceConnected" : "deviceDisconnected",
        ref,
        generationId,
        body: { sequenceNumber },
      });
    },
  };
}

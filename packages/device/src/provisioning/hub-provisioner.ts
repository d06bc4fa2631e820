import { IotError } from "@hubwire/protocol";
import type { AssignedRegistration } from "@hubwire/protocol/dps";
import type { Clock } from "@hubwire/transport";
import type { Endpoint } from "../connection/endpoint.ts";
import type { Provisioned, Provisioner } from "../connection/provisioner.ts";
import { isIotError } from "../calls/errors.ts";
import type { Assignment, AssignmentStore } from "./assignment-store.ts";

export type HubProvisionerOptions = {
  provisioningHost: string;
  idScope: string;
  registrationId: string;
  reprovision: "when-refused" | "at-start" | "never";
  refusalsBeforeReprovision: number;
  store: AssignmentStore | undefined;
  clock: Clock;
  onError: (error: unknown, where: string) => void;
  /** Asks the service. */
  register: (signal: AbortSignal) => Promise<AssignedRegistration>;
  endpointFor: (assignedHub: string, deviceId: string) => Endpoint;
};

/** Longer than any file takes; a store that never answers must not keep a device from its hub. */
const storeTimeoutMs = 10_000;
/** How often the refusals it takes are doubled. */
const doublingsMax = 5;

const where = "provisioning.remember";

/**
 * Where a device belongs: what is remembered, else what the service says, and the service again when the hub refuses.
 *
 * Once there is an assignment, a service that cannot be reached does not keep the device from its hub: after each question in
 * vain the hub is tried.
 */
export class HubProvisioner implements Provisioner {
  readonly #options: HubProvisionerOptions;
  #provisioned: Provisioned | undefined;
  #hasLoaded = false;
  #hasAsked = false;
  /** In a row, since the last assignment. */
  #refusals = 0;
  /** Questions in a row that left everything as it was. */
  #fruitless = 0;
  /** The hub is tried next, whatever else holds. */
  #isHubsTurn = false;
  /** The service refused for good, and the hub still may not. */
  #isRefused = false;

  constructor(options: HubProvisionerOptions) {
    this.#options = options;
  }

  get provisioned(): Provisioned | undefined {
    return this.#provisioned;
  }

  get due(): boolean {
    const { reprovision, refusalsBeforeReprovision } = this.#options;
    if (this.#provisioned === undefined) return true;
    if (this.#isHubsTurn || reprovision === "never") return false;
    if (reprovision === "at-start" && !this.#hasAsked) return true;
    return this.#refusals >= refusalsBeforeReprovision * 2 ** this.#fruitless;
  }

  async assign(signal: AbortSignal): Promise<Endpoint> {
    if (!this.#hasLoaded) {
      const remembered = await this.#load();
      signal.throwIfAborted();
      this.#hasLoaded = true;
      if (remembered !== undefined) this.#provisioned = fromStore(remembered);
      if (remembered !== undefined && this.#options.reprovision !== "at-start") {
        return this.#endpoint(this.#provisioned as Provisioned);
      }
    }
    try {
      const registration = await this.#options.register(signal);
      signal.throwIfAborted();
      const endpoint = this.#assigned(registration);
      await this.#save();
      return endpoint;
    } catch (error) {
      if (!signal.aborted) this.#refusedByService(error);
      throw error;
    }
  }

  connected(): void {
    this.#hasAsked = true;
    this.#refusals = 0;
    this.#fruitless = 0;
    this.#isHubsTurn = false;
    this.#isRefused = false;
  }

  failed(cause: IotError): void {
    this.#isHubsTurn = false;
    if (isRefusal(cause)) this.#refusals += 1;
  }

  mayHeal(cause: IotError): boolean {
    if (this.#options.reprovision === "never") return false;
    // The service's refusal leaves what is remembered to be tried.
    if (!isRefusal(cause)) return this.#isHubsTurn;
    return this.#provisioned?.remembered === true && !this.#isRefused;
  }

  #assigned(registration: AssignedRegistration): Endpoint {
    const before = this.#provisioned;
    const { assignedHub, deviceId, payload, substatus, issuedCertificateChain } = registration;
    const { clock, registrationId } = this.#options;
    const assigned: Provisioned = {
      registrationId,
      assignedHub,
      deviceId,
      payload,
      substatus,
      issuedCertificateChain,
      assignedAt: new Date(clock.wallMs()),
      remembered: false,
    };
    const isSame = before?.assignedHub === assignedHub && before.deviceId === deviceId;
    this.#fruitless = isSame ? Math.min(this.#fruitless + 1, doublingsMax) : 0;
    this.#provisioned = assigned;
    this.#hasAsked = true;
    this.#refusals = 0;
    this.#isRefused = false;
    return this.#endpoint(assigned);
  }

  #endpoint({ assignedHub, deviceId }: Provisioned): Endpoint {
    return this.#options.endpointFor(assignedHub, deviceId);
  }

  #refusedByService(error: unknown): void {
    this.#isRefused = isIotError(error) && !error.retryable;
    this.#isHubsTurn = this.#provisioned !== undefined;
  }

  /** What is remembered about this registration; nothing when the store fails, is slow or remembers another. */
  async #load(): Promise<Assignment | undefined> {
    const { store, clock, onError, ...wanted } = this.#options;
    if (store === undefined) return undefined;
    try {
      const found = await withinTime("read", store.load(), clock);
      const isMine =
        found?.registrationId === wanted.registrationId &&
        found.idScope === wanted.idScope &&
        found.provisioningHost === wanted.provisioningHost;
      return isMine ? found : undefined;
    } catch (error) {
      onError(error, where);
      return undefined;
    }
  }

  /** Before the device goes to its hub, so that a power cut behind that costs no second registration. */
  async #save(): Promise<void> {
    const { store, provisioningHost, idScope, clock, onError } = this.#options;
    const provisioned = this.#provisioned;
    if (store === undefined || provisioned === undefined) return;
    const { registrationId, assignedHub, deviceId } = provisioned;
    const { payload, substatus, issuedCertificateChain } = provisioned;
    const assignment: Assignment = {
      provisioningHost,
      idScope,
      registrationId,
      assignedHub,
      deviceId,
      ...(payload === undefined ? {} : { payload }),
      ...(substatus === undefined ? {} : { substatus }),
      ...(issuedCertificateChain === undefined ? {} : { issuedCertificateChain }),
      assignedAt: provisioned.assignedAt.toISOString(),
    };
    try {
      await withinTime("written", store.save(assignment), clock);
    } catch (error) {
      onError(error, where);
    }
  }
}

const fromStore = (assignment: Assignment): Provisioned => {
  const { registrationId, assignedHub, deviceId } = assignment;
  const { payload, substatus, issuedCertificateChain, assignedAt } = assignment;
  return {
    registrationId,
    assignedHub,
    deviceId,
    payload,
    substatus,
    issuedCertificateChain,
    assignedAt: new Date(assignedAt),
    remembered: true,
  };
};

/** A hub's no, or no such hub: a hub that was deleted takes its name with it. */
const isRefusal = (cause: IotError): boolean =>
  cause.code === "device.refused_not_authorized" ||
  cause.code === "device.refused_credentials" ||
  cause.code === "device.refused_identifier" ||
  cause.code === "transport.dns";

function withinTime<T>(done: "read" | "written", work: Promise<T>, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.at(clock.nowMs() + storeTimeoutMs, () => {
      const text = `The assignment was not ${done} within ${storeTimeoutMs} ms`;
      reject(new IotError("provisioning.store_unusable", text));
    });
    work.finally(() => timer.cancel()).then(resolve, reject);
  });
}

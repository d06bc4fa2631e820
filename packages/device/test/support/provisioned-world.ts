import { randomBytes } from "node:crypto";
import { ProvisioningService } from "@hubwire/testkit";
import type { DpsScript } from "@hubwire/testkit";
import { connect } from "@hubwire/device";
import type {
  ConnectOptions,
  DeviceClient,
  DeviceOptions,
  ProvisioningOptions,
} from "@hubwire/device";
// Loaded by connect() when it is needed, which takes real time once.
import "../../src/provisioning/resolve-provisioning.ts";
import { hostName } from "./fake-hub.ts";
import type { HubScript } from "./script.ts";
import { Outcome, seeded, World } from "./world.ts";

/** The hub's fake is for dev1 only; the enrolment gives its device that id whatever its registration id. */
export const registrationId = "reg-1";
export const randomKey = (): string => randomBytes(64).toString("base64");

/** A device, a provisioning service, a hub, and virtual time. */
export class ProvisionedWorld extends World {
  readonly service: ProvisioningService;
  readonly groupKey = randomKey();
  assignedHub = hostName;

  constructor(script: DpsScript = {}, hubScript: HubScript = {}) {
    super(hubScript);
    this.service = new ProvisioningService({ clock: this.clock, script });
  }

  /** An individual enrolment with this world's key. */
  enrol(deviceId = "dev1"): this {
    this.service.enrol({
      registrationId,
      deviceId,
      primaryKey: this.key,
      allocate: ({ payload }) => ({
        assignedHub: this.assignedHub,
        ...(payload === undefined ? {} : { payload: { echo: payload } }),
      }),
    });
    return this;
  }

  provisioned(
    provisioning: Partial<ProvisioningOptions> = {},
    options: DeviceOptions = {},
  ): ConnectOptions {
    return {
      provisioning: {
        idScope: this.service.idScope,
        registrationId,
        symmetricKey: this.key,
        openStream: this.service.open,
        ...provisioning,
      } as ProvisioningOptions,
      clock: this.clock,
      openStream: this.hub.open,
      random: seeded(1),
      onError: (error) => {
        throw error;
      },
      ...options,
    };
  }

  opening(
    provisioning: Partial<ProvisioningOptions> = {},
    options: DeviceOptions = {},
  ): Outcome<DeviceClient> {
    return new Outcome(connect(this.provisioned(provisioning, options)));
  }

  async open(
    provisioning: Partial<ProvisioningOptions> = {},
    options: DeviceOptions = {},
  ): Promise<DeviceClient> {
    const opening = this.opening(provisioning, options);
    await this.clock.runUntil(() => opening.isSettled);
    return opening.value;
  }
}

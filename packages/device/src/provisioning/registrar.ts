import { randomUUID } from "node:crypto";
import { IotError } from "@hubwire/protocol";
import { dpsPolicyName, dpsSasResource, ProvisioningMachine } from "@hubwire/protocol/dps";
import type { AssignedRegistration, RegisterRequest } from "@hubwire/protocol/dps";
import type { ByteStream, Clock, Dial } from "@hubwire/transport";
import { isIotError } from "../calls/errors.ts";
import type { Credential, CredentialProvider } from "../credentials/provider.ts";
import { exchange } from "./exchange.ts";

export type RegistrarOptions = RegisterRequest & {
  host: string;
  port: number;
  idScope: string;
  username: string;
  /** The proof in use: it may be exchanged for another. */
  provider: () => CredentialProvider;
  dial: Dial;
  clock: Clock;
  random: () => number;
  /** For one connection up to CONNACK. */
  attemptTimeoutMs: number;
  /** For one registration, over as many connections as it takes. */
  timeoutMs: number;
};

type Opened = { credential: Credential; stream: ByteStream };

/** Registers one device. Each call is one connection; a registration the last connection left unfinished is gone on with. */
export class Registrar {
  readonly #options: RegistrarOptions;
  #machine: ProvisioningMachine | undefined;
  #notBeforeMs = -Infinity;
  #fresh = false;

  constructor(options: RegistrarOptions) {
    this.#options = options;
  }

  /** @throws IotError; what `signal` was aborted with */
  async register(signal: AbortSignal): Promise<AssignedRegistration> {
    const { clock, attemptTimeoutMs: connackTimeoutMs, random } = this.#options;
    await this.#waitAsTold(signal);
    const provider = this.#options.provider();
    const { stream, credential } = await this.#open(provider, signal);
    const nowMs = clock.nowMs();
    const left = this.#machine;
    const machine =
      left === undefined || nowMs >= left.deadlineMs || left.isOver
        ? new ProvisioningMachine({ ...this.#options, random, newRid: randomUUID }, nowMs)
        : left;
    this.#machine = machine;
    const { registrationId, username } = this.#options;
    const { password } = credential;
    try {
      return await exchange({
        machine,
        stream,
        clock,
        registrationId,
        username,
        password,
        connackTimeoutMs,
        signal,
        onConnected: () => provider.outcome?.(credential, undefined),
        onRetryAt: (atMs) => (this.#notBeforeMs = atMs),
      });
    } catch (error) {
      this.#fresh = isIotError(error) && error.code === "provisioning.unauthorized";
      if (this.#fresh) provider.outcome?.(credential, error as IotError);
      throw error;
    }
  }

  async #waitAsTold(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    if (clock.nowMs() >= this.#notBeforeMs) return;
    await new Promise<void>((resolve, reject) => {
      const timer = clock.at(this.#notBeforeMs, () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
      const onAbort = (): void => {
        timer.cancel();
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** A token and a stream, in `attemptTimeoutMs`. */
  #open(provider: CredentialProvider, signal: AbortSignal): Promise<Opened> {
    const { clock, attemptTimeoutMs, host } = this.#options;
    return new Promise<Opened>((resolve, reject) => {
      const controller = new AbortController();
      const end = (): void => {
        timer.cancel();
        signal.removeEventListener("abort", onAbort);
      };
      const stop = (error: Error): void => {
        end();
        controller.abort(error);
        reject(error);
      };
      const onAbort = (): void => stop(signal.reason as Error);
      const timer = clock.at(clock.nowMs() + attemptTimeoutMs, () => {
        const text = `No connection to the provisioning service ${host} within ${attemptTimeoutMs} ms`;
        stop(new IotError("device.attempt_timeout", text));
      });
      if (signal.aborted) return onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      this.#dial(provider, controller.signal).then(
        (opened) => {
          end();
          if (controller.signal.aborted) opened.stream.destroy();
          else resolve(opened);
        },
        (error: unknown) => {
          end();
          reject(error as Error);
        },
      );
    });
  }

  async #dial(provider: CredentialProvider, signal: AbortSignal): Promise<Opened> {
    const { dial, clock, host, port, idScope, registrationId } = this.#options;
    const resource = dpsSasResource(idScope, registrationId);
    const credential = await provider.next(
      { hostName: host, deviceId: registrationId, resource, policyName: dpsPolicyName },
      { wallMs: clock.wallMs(), fresh: this.#fresh, signal },
    );
    signal.throwIfAborted();
    const stream = await dial({ host, port, identity: credential.tls }, signal);
    return { credential, stream };
  }
}

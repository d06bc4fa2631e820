import { IotError } from "@hubwire/protocol";
import type { Timer } from "@hubwire/transport";
import type { CertificateFacts } from "./certificate.ts";
import type { CredentialContext } from "./provider.ts";

const dayMs = 86_400_000;
/** The wall clock may jump: it is asked this often at the latest. */
const lookEveryMs = 6 * 3_600_000;
const defaultDays: readonly number[] = [30, 14, 7, 1];

/** Tells that a certificate ends soon: once at each mark passed, and of several passed ones the latest only. */
export class ExpiryWarnings {
  readonly #days: readonly number[] | undefined;
  /** Largest first. */
  #marksMs: readonly number[] = [];
  #timer: Timer | undefined;

  constructor(days: readonly number[] | undefined) {
    this.#days = days;
  }

  start(facts: CertificateFacts, context: CredentialContext): void {
    this.stop();
    const marksMs = [...(this.#days ?? defaultDays)]
      .sort((a, b) => b - a)
      .map((day) => day * dayMs);
    // A certificate made for a day is not news because it ends within a month.
    const halfLifeMs = (facts.validToMs - facts.validFromMs) / 2;
    this.#marksMs =
      this.#days === undefined ? marksMs.filter((mark) => mark <= halfLifeMs) : marksMs;
    if (context.clock.wallMs() < facts.validFromMs) context.notice(notYetValid(facts, context));
    this.#look(facts, context, Infinity);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #look(facts: CertificateFacts, context: CredentialContext, toldMs: number): void {
    const { clock } = context;
    const leftMs = facts.validToMs - clock.wallMs();
    const passedMs = this.#marksMs.findLast((mark) => leftMs <= mark) ?? Infinity;
    if (passedMs < toldMs) context.notice(endsSoon(facts, leftMs));
    if (leftMs <= 0) return;
    const nextMark = this.#marksMs.find((mark) => mark < leftMs) ?? 0;
    const waitMs = Math.min(leftMs - nextMark, lookEveryMs);
    const told = Math.min(passedMs, toldMs);
    this.#timer = clock.at(clock.nowMs() + waitMs, () => this.#look(facts, context, told));
  }
}

function endsSoon({ subject, validToMs }: CertificateFacts, leftMs: number): IotError {
  const when = new Date(validToMs).toISOString();
  const left =
    leftMs <= 0 ? "it has ended" : `${(leftMs / dayMs).toFixed(1)} days left by the device's clock`;
  return new IotError(
    "device.certificate_expires_soon",
    `The certificate ${subject} ends at ${when}: ${left}`,
  );
}

const notYetValid = (
  { subject, validFromMs }: CertificateFacts,
  { clock }: CredentialContext,
): IotError =>
  new IotError(
    "device.certificate_not_yet_valid",
    `The certificate ${subject} begins at ${new Date(validFromMs).toISOString()} (device clock ${new Date(clock.wallMs()).toISOString()})`,
  );

import { VirtualClock } from "@hubwire/transport";
import { testCertificates } from "@hubwire/testkit";
import { expect, test } from "vitest";
import type { ClientCertificate, IotError } from "@hubwire/device";
import { proveByCertificate } from "../../src/credentials/proofs.ts";

const day = 86_400_000;
const madeMs = Date.UTC(2026, 0, 1);
const certificates = await testCertificates();

async function issued(lifeDays: number): Promise<ClientCertificate> {
  const validity = { notBefore: new Date(madeMs), notAfter: new Date(madeMs + lifeDays * day) };
  const { cert, key } = await certificates.issue({ cn: "dev1", ...validity });
  return { cert, key };
}

/** A certificate in use from a moment on; what it tells, and when, in days before its end. */
function inUse(certificate: ClientCertificate, lifeDays: number, wallMs: number) {
  const clock = new VirtualClock({ wallMs });
  const { provider } = proveByCertificate(certificate);
  const told: string[] = [];
  const notice = ({ code }: IotError): void => {
    const leftDays = (madeMs + lifeDays * day - clock.wallMs()) / day;
    told.push(`${code} ${leftDays}`);
  };
  provider.attach?.({ clock, notice });
  return { clock, provider, told };
}

const soon = (leftDays: number): string => `device.certificate_expires_soon ${leftDays}`;

test("its end is told 30, 14, 7 and 1 days before, each once", async () => {
  const { clock, told } = inUse(await issued(365), 365, madeMs + 200 * day);
  await clock.advance(200 * day);
  expect(told).toEqual([30, 14, 7, 1].map(soon));
});

test("a device that starts late is told the latest mark only, then the ones to come", async () => {
  const { clock, told } = inUse(await issued(365), 365, madeMs + 355 * day);
  expect(told).toEqual([soon(10)]);
  await clock.advance(30 * day);
  expect(told).toEqual([10, 7, 1].map(soon));
});

test("the marks may be others; of the usual ones a short-lived certificate has those of its second half", async () => {
  const other = inUse({ ...(await issued(365)), expiryWarningDays: [2, 90] }, 365, madeMs);
  await other.clock.advance(400 * day);
  expect(other.told).toEqual([90, 2].map(soon));
  const short = inUse(await issued(4), 4, madeMs);
  await short.clock.advance(10 * day);
  expect(short.told).toEqual([1].map(soon));
});

test("a clock that is set forward is noticed within six hours", async () => {
  const { clock, told } = inUse(await issued(365), 365, madeMs);
  await clock.advance(day);
  clock.jumpWall(359 * day);
  await clock.advance(day / 4);
  expect(told).toHaveLength(1);
});

test("a clock before the certificate's beginning is told, and does not keep the device from trying", async () => {
  const { clock, provider, told } = inUse(await issued(365), 365, Date.UTC(1970, 0, 2));
  expect(told[0]).toMatch(/^device.certificate_not_yet_valid/);
  const { signal } = new AbortController();
  const scope = { hostName: "hub", deviceId: "d" };
  const request = { wallMs: clock.wallMs(), fresh: false, signal };
  expect(await provider.next(scope, request)).toMatchObject({ renewable: false });
});

test("after its end nothing is dialled, and closing ends the timer", async () => {
  const { clock, provider, told } = inUse(await issued(365), 365, madeMs + 300 * day);
  provider.close?.();
  await clock.advance(100 * day);
  expect(told).toEqual([]);
  const { signal } = new AbortController();
  const request = { wallMs: clock.wallMs(), fresh: false, signal };
  const next = provider.next({ hostName: "hub", deviceId: "d" }, request);
  await expect(next).rejects.toMatchObject({ code: "device.certificate_expired" });
});

test.each([[0], [1.5], [5_000]])("%d days is no mark", async (days) => {
  const certificate = { ...(await issued(1)), expiryWarningDays: [days] };
  expect(() => proveByCertificate(certificate)).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
});

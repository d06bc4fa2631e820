import { createPrivateKey, X509Certificate } from "node:crypto";
import type { DeviceClient, IssueOptions, RenewedCertificate } from "@hubwire/device";
import { connect } from "@hubwire/device";
import { certificateApiVersion, makeCertificateRequest } from "@hubwire/device/certificates";
import { testCertificates } from "@hubwire/testkit";
import { expect, test } from "vitest";
import { hostName, identity } from "../support/fake-hub.ts";
import { Outcome, World } from "../support/world.ts";
import { Issuer } from "./issuer.ts";
import type { Policy } from "./issuer.ts";
import { untilTrue } from "./real.ts";

const { root } = await testCertificates();

/** A connected device whose hub issues certificates as the policy says. */
class Renewals {
  readonly issuer: Issuer;
  readonly world: World;
  client!: DeviceClient;

  constructor(policy?: Policy) {
    this.issuer = new Issuer(root, policy);
    this.world = new World(this.issuer.script);
  }

  async connect(): Promise<this> {
    this.client = await this.world.connect({ apiVersion: certificateApiVersion });
    return this;
  }

  /** Asks, and waits until the hub has the n-th request. */
  async asking(options?: IssueOptions, n = 1): Promise<Outcome<RenewedCertificate>> {
    const outcome = new Outcome(this.client.renewCertificate(options));
    await untilTrue(this.world, () => outcome.isSettled || this.issuer.asked.length >= n);
    return outcome;
  }

  async settled(outcome: Outcome<unknown>): Promise<void> {
    await untilTrue(this.world, () => outcome.isSettled);
  }
}

const renewals = (policy?: Policy): Promise<Renewals> => new Renewals(policy).connect();

test("202, then 200: a new key, its certificate and chain; the connection stays", async () => {
  const it = await renewals();
  const outcome = await it.asking();
  await it.world.settle(it.client.sendTelemetry("in between"));
  await it.world.clock.advance(3_000);
  await it.settled(outcome);
  const { cert, key, chain } = outcome.value;
  const leaf = new X509Certificate(cert);
  expect(leaf.subject).toBe("CN=dev1");
  expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true);
  expect(leaf.checkIssued(new X509Certificate(chain))).toBe(true);
  const { asked } = it.issuer;
  expect(asked.map(({ request }) => [request.id, request.replace])).toEqual([["dev1", null]]);
  expect(it.world.hub.current.filters).toContain("$iothub/credentials/res/#");
  expect(it.world.hub.connections).toHaveLength(1);
  expect(it.world.hub.texts).toEqual(["in between"]);
});

test("an answer without the 202 before it is as good", async () => {
  const it = await renewals((asked, _, issuer) => issuer.issue(asked));
  const outcome = await it.asking();
  await it.settled(outcome);
  expect(outcome.code).toBe("value");
});

test.each([
  ["never answers", () => undefined, "sent, not answered"],
  [
    "accepts, and that is all",
    (asked, _, issuer) => issuer.answer(asked, 202, { correlationId: "c-7" }),
    "accepted, correlation id c-7",
  ],
] as const satisfies [string, Policy, string][])(
  "a hub that %s is given up after 120 s",
  async (...one) => {
    const [, policy, words] = one;
    const it = await renewals(policy);
    const outcome = await it.asking();
    await it.world.clock.advance(119_000);
    expect(outcome.code).toBe("pending");
    await it.world.clock.advance(1_500);
    expect(outcome.code).toBe("call.timeout");
    expect(outcome.error.message).toContain(words);
  },
);

test.each([
  // Azure IoT Hub docs, certificate management (preview): the codes of a refused request.
  [
    400,
    {
      errorCode: 400040,
      message: "failed",
      info: { credentialError: "CsrInvalid", credentialMessage: "no" },
    },
    "certificate.refused",
    "400040 CredentialOperationFailed, failed, CsrInvalid, no",
  ],
  [403, { errorCode: 403010 }, "certificate.refused", "403010 OperationNotAvailableInCurrentTier"],
  [404, { errorCode: 404001 }, "certificate.refused", "404001 DeviceNotFound"],
  [409, { errorCode: 409004 }, "certificate.pending", "409004 CredentialOperationPending"],
  [
    409,
    { errorCode: 409005, info: { requestId: "r-9", operationExpires: "2026-01-01T00:02:00Z" } },
    "certificate.active",
    "409005 CredentialOperationActive, request r-9, until 2026-01-01T00:02:00.000Z",
  ],
  [412, { errorCode: 412001 }, "certificate.refused", "412001 PreconditionFailed"],
  [
    412,
    { errorCode: 412005 },
    "certificate.refused",
    "412005 CredentialManagementPreconditionFailed",
  ],
  [429, { errorCode: 429002 }, "certificate.throttled", "429002 ThrottleBacklogLimitExceeded"],
  [429, { errorCode: 429003 }, "certificate.throttled", "429003 ThrottlingBacklogTimeout"],
  [500, { errorCode: 500001 }, "certificate.unavailable", "500001 ServerError"],
  [503, { errorCode: 503001 }, "certificate.unavailable", "503001 ServiceUnavailable"],
  [503, { errorCode: 503102 }, "certificate.unavailable", "503102 DeviceUnavailable"],
  [599, "no JSON", "certificate.unavailable", "599000"],
  [200, { certificates: [] }, "certificate.bad_answer", "1 to 10 certificates"],
  [200, { certificates: ["MAMCAQE="] }, "certificate.bad_answer", "cannot be read"],
  [201, {}, "certificate.bad_answer", "no answer has status 201"],
])("an answer %i %j is %s", async (status, body, code, words) => {
  const it = await renewals((asked, _, issuer) => issuer.answer(asked, status, body));
  const outcome = await it.asking();
  await it.settled(outcome);
  expect(outcome.code).toBe(code);
  expect(outcome.error.message).toContain(words);
  expect(it.world.hub.connections).toHaveLength(1);
});

const foreign = await makeCertificateRequest(identity.deviceId);

test.each([
  ["another key", foreign.csr, "dev1"],
  ["another device", undefined, "dev2"],
])("a certificate for %s is not taken", async (what, csr, cn) => {
  const it = await renewals((asked, _, issuer) => issuer.issue(asked, csr, cn));
  const outcome = await it.asking();
  await it.settled(outcome);
  expect(outcome.code).toBe("certificate.bad_answer");
  expect(outcome.error.message).toContain(`it is for ${what}`);
});

test.each(["*", "r-9"])(
  "an open request is put aside when that is asked for: %s",
  async (replace) => {
    const it = await renewals((asked, _, issuer) => issuer.issue(asked));
    await it.settled(await it.asking({ replace }));
    expect(it.issuer.asked[0]?.request.replace).toBe(replace);
  },
);

/** After the connection broke, the device's own first request is in the way of the second. */
const inItsOwnWay =
  (code: number, info: object | null): Policy =>
  (asked, number, issuer) => {
    if (number === 1) return asked.hub.cut();
    if (number === 2) return issuer.answer(asked, 409, { errorCode: code, info });
    return issuer.issue(asked);
  };

test("a connection that breaks in between costs no certificate: the request is repeated, and replaces itself", async () => {
  const it = await renewals(inItsOwnWay(409005, { requestId: "r-1" }));
  const outcome = await it.asking();
  await it.world.clock.runUntil(() => it.issuer.asked.length === 3);
  await it.settled(outcome);
  expect(outcome.code).toBe("value");
  const requests = it.issuer.asked.map(({ request }) => request);
  expect(new Set(requests.map(({ csr }) => csr)).size).toBe(1);
  expect(requests.map(({ replace }) => replace)).toEqual([null, null, "r-1"]);
});

test("while the hub still works on what the broken connection asked, the device asks every five seconds", async () => {
  const it = await renewals(inItsOwnWay(409004, null));
  const outcome = await it.asking();
  await it.world.clock.runUntil(() => it.issuer.asked.length === 2);
  const atMs = it.world.clock.nowMs();
  await it.world.clock.runUntil(() => it.issuer.asked.length === 3);
  expect(it.world.clock.nowMs() - atMs).toBeGreaterThanOrEqual(5_000);
  await it.settled(outcome);
  expect(outcome.code).toBe("value");
});

test("a request of somebody else that stays in the way is not replaced over and over", async () => {
  const it = await renewals((asked, number, issuer) => {
    if (number === 1) return asked.hub.cut();
    return issuer.answer(asked, 409, { errorCode: 409005, info: { requestId: `r-${number}` } });
  });
  const outcome = await it.asking();
  await it.world.clock.runUntil(() => it.issuer.asked.length === 3);
  await it.settled(outcome);
  expect(outcome.code).toBe("certificate.active");
  expect(it.issuer.asked).toHaveLength(3);
});

test("without the preview's api-version nothing is sent, and it is said", async () => {
  const it = new Renewals();
  const client = await it.world.connect();
  await expect(client.renewCertificate()).rejects.toMatchObject({
    code: "certificate.preview_needed",
  });
  expect(it.issuer.asked).toEqual([]);
});

test("modules get no certificates", async () => {
  const world = new World();
  const opening = new Outcome(
    connect({
      ...world.options({ apiVersion: certificateApiVersion, waitForConnection: false }),
      credentials: { hostName, ...identity, moduleId: "m", sharedAccessKey: world.key },
    } as Parameters<typeof connect>[0]),
  );
  await world.clock.settle();
  await expect(opening.value.renewCertificate()).rejects.toMatchObject({
    code: "argument.invalid",
  });
  await world.settle(opening.value.close());
});

test.each([{ timeoutMs: 0 }, { timeoutMs: 1.5 }, { replace: "" }])(
  "%j is the caller's mistake",
  async (options) => {
    const it = await renewals();
    await expect(it.client.renewCertificate(options)).rejects.toMatchObject({
      code: "argument.invalid",
    });
  },
);

test("one request at a time", async () => {
  const it = await renewals(() => undefined);
  const first = await it.asking();
  const second = new Outcome(it.client.renewCertificate());
  await it.settled(second);
  expect(second.code).toBe("certificate.pending");
  expect(first.code).toBe("pending");
});

test("an aborted request makes room for the next, whose answer is its own", async () => {
  const it = await renewals((asked, number, issuer) => {
    if (number === 2) return issuer.issue(asked);
    return undefined;
  });
  const abort = new AbortController();
  const first = await it.asking({ signal: abort.signal });
  abort.abort();
  await it.settled(first);
  expect(first.code).toBe("call.aborted");
  const second = await it.asking({}, 2);
  const [early] = it.issuer.asked;
  if (early !== undefined) await it.issuer.issue(early);
  await it.settled(second);
  expect(second.code).toBe("value");
});

test("close() settles it", async () => {
  const it = await renewals(() => undefined);
  const outcome = await it.asking();
  await it.world.settle(it.client.close({ timeoutMs: 0 }));
  expect(outcome.code).toBe("client.closed");
  await expect(it.client.renewCertificate()).rejects.toMatchObject({ code: "client.closed" });
});

test("answers nobody waits for change nothing", async () => {
  const it = await renewals();
  const asked = { rid: "1", hub: it.world.hub, connection: it.world.hub.current };
  it.issuer.answer({ ...asked, request: { id: "", csr: "", replace: null } }, 200, {});
  await it.world.clock.settle();
  expect(it.client.status().state).toBe("connected");
});

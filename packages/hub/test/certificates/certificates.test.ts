import { randomBytes } from "node:crypto";
import { testCertificates } from "@hubwire/testkit";
import { deviceCasMax } from "@hubwire/protocol";
import { systemClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import { createCertificates } from "../../src/domain/certificates/index.ts";
import { createMemoryStores } from "../../src/stores/memory/index.ts";

const made = await testCertificates();
const ca = await made.ca({ cn: "factory" });
const other = await made.ca({ cn: "factory" });

async function world() {
  const clock = systemClock();
  const { documents } = createMemoryStores({ clock });
  const open = () => createCertificates({ documents, clock, randomBytes });
  return { open, certificates: await open() };
}

test("a CA counts when its proof is signed, in its dates, and named by the code; a code is good once", async () => {
  const { certificates, open } = await world();
  await certificates.upload("factory", ca.cert, false);
  expect(certificates.trusted()).toEqual([]);
  const early = await made.issue({ cn: "x", issuer: ca });
  await expect(certificates.verify("factory", early.cert)).rejects.toMatchObject({
    code: "ca.not_proven",
  });
  const { verificationCode = "" } = await certificates.generateCode("factory");
  expect(verificationCode).toMatch(/^[0-9A-F]{48}$/u);
  const foreign = await made.issue({ cn: verificationCode, issuer: other });
  const misnamed = await made.issue({ cn: verificationCode.slice(1), issuer: ca });
  for (const proof of [foreign, misnamed]) {
    await expect(certificates.verify("factory", proof.cert)).rejects.toMatchObject({
      code: "ca.not_proven",
    });
  }
  expect(certificates.trusted()).toEqual([]);
  const proof = await made.issue({ cn: verificationCode, issuer: ca });
  expect(await certificates.verify("factory", proof.cert)).toMatchObject({
    isVerified: true,
    verificationCode: undefined,
  });
  expect(certificates.trusted()).toHaveLength(1);
  await expect(certificates.verify("factory", proof.cert)).rejects.toMatchObject({
    code: "ca.not_proven",
  });
  // Another start of the hub trusts it, too.
  expect((await open()).trusted()).toHaveLength(1);
});

test("a new certificate under an old name has to be proven again, and needs the etag", async () => {
  const { certificates } = await world();
  const first = await certificates.upload("factory", ca.cert, true);
  expect(certificates.trusted()).toHaveLength(1);
  await expect(certificates.upload("factory", other.cert, true)).rejects.toMatchObject({
    code: "etag.mismatch",
  });
  await certificates.upload("factory", other.cert, false, first.etag);
  expect(certificates.trusted()).toEqual([]);
  await expect(certificates.delete("factory", first.etag)).rejects.toMatchObject({
    code: "etag.mismatch",
  });
  await certificates.delete("factory");
  expect(await certificates.list()).toEqual([]);
});

test.each([
  ["a/b", ca.cert, "ca.bad_name"],
  ["", ca.cert, "ca.bad_name"],
  ["text", "hello", "ca.bad_certificate"],
  ["two", ca.cert + other.cert, "ca.bad_certificate"],
  ["leaf", (await made.issue({ cn: "d", issuer: ca })).cert, "ca.bad_certificate"],
])("the upload of %j is refused", async (name, pem, code) => {
  const { certificates } = await world();
  await expect(certificates.upload(name, pem, false)).rejects.toMatchObject({ code });
});

test("there are at most so many", async () => {
  const { certificates } = await world();
  for (let n = 0; n < deviceCasMax; n++) await certificates.upload(`ca-${n}`, ca.cert, false);
  await expect(certificates.upload("one-more", ca.cert, false)).rejects.toMatchObject({
    code: "ca.too_many",
  });
});

import {
  encodeBase64,
  formatCertificateRequest,
  parseCertificateAnswer,
  parseCertificateRequest,
} from "@hubwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import vectors from "../../../../vectors/certificate-request.json" with { type: "json" };

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

test.each(vectors.requests)("a request, written and read: $name", ({ request, body }) => {
  expect(formatCertificateRequest(request)).toBe(body);
  expect(parseCertificateRequest(bytesOf(body))).toEqual(request);
});

test.each(vectors.malformedRequests)("is no request: $body", ({ body }) => {
  expect(parseCertificateRequest(bytesOf(body))).toBeUndefined();
});

test.each(vectors.answers)("an answer: $name", ({ status, body, answer }) => {
  const read = parseCertificateAnswer(status, bytesOf(body));
  const shown =
    read.type === "issued"
      ? { ...read, certificates: read.certificates.map((der) => encodeBase64(der)) }
      : read;
  expect(shown).toEqual(answer);
});

test("whatever comes as an answer, reading it ends in one of four", () => {
  const anyBody = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.json().map(bytesOf),
    fc.jsonValue().map((value) => bytesOf(JSON.stringify({ certificates: value, info: value }))),
  );
  fc.assert(
    fc.property(fc.integer({ min: -10, max: 700 }), anyBody, (status, body) => {
      const { type } = parseCertificateAnswer(status, body);
      expect(["accepted", "issued", "refused", "malformed"]).toContain(type);
    }),
  );
});

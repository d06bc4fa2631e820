import { randomBytes, X509Certificate } from "node:crypto";
import { findEngine, importSasKey } from "@hubwire/pkcs11";
import { afterAll, expect, test } from "vitest";
import { native } from "../src/native.ts";
import { nodeBinary } from "../../../test/node-versions/node-binaries.ts";
import { newHub, runDevice, storedOf } from "./support/hub.ts";
import { library, softHsm } from "./support/soft-hsm.ts";
import { openSession } from "./support/token.ts";

// Three devices whose keys are in one token: two private keys that were made there, one secret key that was imported.
const hsm = softHsm();
Object.assign(process.env, hsm.env);
const hub = await newHub();
afterAll(async () => {
  await hub.stop();
  hsm.remove();
});
const engine = findEngine() ?? "";

hsm.tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "ec", "--id", "01");
hsm.tool("--keypairgen", "--key-type", "EC:secp384r1", "--label", "p384", "--id", "03");
hsm.tool("--keypairgen", "--key-type", "rsa:2048", "--label", "rsa", "--id", "02");
const secret = randomBytes(32);
const token = openSession(hsm);
await importSasKey({
  library,
  tokenLabel: hsm.label,
  pin: hsm.pin,
  key: secret.toString("base64"),
  keyLabel: "sas",
});

const certificates = new Map<string, string>();
for (const label of ["ec", "p384", "rsa"]) {
  const deviceId = `x509-${label}`;
  const cert = hsm.selfSigned(label, deviceId, engine);
  certificates.set(label, cert);
  const thumbprint = new X509Certificate(cert).fingerprint256.replaceAll(":", "");
  await hub.createDevice({
    deviceId,
    authentication: {
      type: "selfSigned",
      primaryThumbprint: thumbprint,
      secondaryThumbprint: undefined,
    },
  });
}
await hub.createDevice({
  deviceId: "sas",
  authentication: {
    type: "sas",
    primaryKey: secret.toString("base64"),
    secondaryKey: randomBytes(32).toString("base64"),
  },
});

/** From the sources on this Node, from what `tsc -b` built on the others, of which some do not read TypeScript. */
const nodes = [
  ["this Node", process.versions.node.split(".")[0] ?? "", ["--conditions=@hubwire/source"]],
  ["Node 20.19.0", "20.19.0", []],
  ["Node 26", "26", []],
] as const;
const keys = [
  ["sas", "sas"],
  ["x509", "ec"],
  ["x509", "p384"],
  ["x509", "rsa"],
] as const;
const cases = nodes.flatMap(([name, version, args]) =>
  keys.map(([kind, label]) => [name, kind, label, version, args] as const),
);

test.each(cases)(
  "%s: a device whose key is in a token connects and sends: %s %s",
  async (...one) => {
    const [name, kind, label, version, args] = one;
    const deviceId = kind === "sas" ? "sas" : `x509-${label}`;
    const texts = [`${name} one`, `${name} two`];
    const key = {
      library,
      tokenLabel: hsm.label,
      keyLabel: label,
      pin: hsm.pin,
      ...(kind === "x509" && { cert: certificates.get(label) }),
    };
    const node = await nodeBinary(version);
    const { code, output } = await runDevice(node, args, hub, hsm, { kind, deviceId, key, texts });
    expect(code, output).toBe(0);
    // No word of libp11's either: it asks for PINs, and prints them.
    expect(output).toBe("done\n");
    const stored = await storedOf(hub, deviceId);
    expect(stored.filter((text) => text.startsWith(name))).toEqual(texts);
  },
);

const secretsOf = [
  ["sas", native.CKO_SECRET_KEY, native.CKA_VALUE],
  ["ec", native.CKO_PRIVATE_KEY, native.CKA_VALUE],
  ["p384", native.CKO_PRIVATE_KEY, native.CKA_VALUE],
  ["rsa", native.CKO_PRIVATE_KEY, native.CKA_PRIVATE_EXPONENT],
] as const;

test.each(secretsOf)(
  "the key %s cannot be read back, plain or wrapped",
  (label, kind, attribute) => {
    const { module, session } = token;
    module.C_FindObjectsInit(session, [
      { type: native.CKA_CLASS, value: kind },
      { type: native.CKA_LABEL, value: label },
    ]);
    const key = module.C_FindObjects(session, 1)[0]!;
    module.C_FindObjectsFinal(session);
    expect(() => module.C_GetAttributeValue(session, key, [{ type: attribute }])).toThrow(
      "CKR_ATTRIBUTE_SENSITIVE",
    );
    const wrapping = module.C_GenerateKey(session, { mechanism: native.CKM_AES_KEY_GEN }, [
      { type: native.CKA_VALUE_LEN, value: 32 },
      { type: native.CKA_WRAP, value: true },
    ]);
    const wrapped = Buffer.alloc(4_096);
    expect(() =>
      module.C_WrapKey(session, { mechanism: native.CKM_AES_KEY_WRAP_PAD }, wrapping, key, wrapped),
    ).toThrow("CKR_KEY_UNEXTRACTABLE");
  },
);

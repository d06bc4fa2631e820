import { existsSync, writeFileSync } from "node:fs";
import { IotError } from "@hubwire/protocol";
import type { CaCertificate } from "@hubwire/service";
import type { Command } from "commander";
import { readCertificates, readTextFile, wholeNumber } from "../arguments.ts";
import { contextOf, withService } from "../context.ts";
import { interruptible } from "../interrupt.ts";
import { table } from "../output.ts";

const daysMax = 36_500;

export function addCaCommands(program: Command): void {
  const ca = program.command("ca").description("CAs whose certificates name devices (X.509)");
  addCreate(ca);
  addUpload(ca);
  addVerify(ca);
  addIssue(ca);

  ca.command("list")
    .description("the hub's CAs, and whether they are proven")
    .addHelpText("after", "\nExample:\n  $ hubwire ca list")
    .action((_options: object, command: Command) =>
      interruptible(async (signal) => {
        const { output, target } = contextOf(command);
        const found = await withService(target(), (client) => client.certificates.list({ signal }));
        if (output.json) {
          for (const one of found) output.line("", one);
          return;
        }
        if (found.length === 0) {
          output.note("No CAs yet. Make one: hubwire ca create factory");
          return;
        }
        const rows = found.map(({ name, properties }) => [
          name,
          properties.isVerified ? "yes" : "no",
          properties.expiry,
          properties.subject,
        ]);
        output.line(table([["CA", "VERIFIED", "UNTIL", "SUBJECT"], ...rows]), found);
      }),
    );

  ca.command("delete <name>")
    .description("trust a CA no longer; devices that are connected stay until they connect again")
    .addHelpText("after", "\nExample:\n  $ hubwire ca delete factory")
    .action((name: string, _options: object, command: Command) =>
      interruptible(async (signal) => {
        const { output, target } = contextOf(command);
        await withService(target(), (client) => client.certificates.delete(name, { signal }));
        output.line(`Deleted ${name}.`, { deleted: name });
      }),
    );
}

type CreateOptions = { cn?: string; days: number; issuerCert?: string; issuerKey?: string };

function addCreate(ca: Command): void {
  ca.command("create <name>")
    .description("make a CA: NAME.pem and NAME-key.pem in this folder; the hub hears nothing of it")
    .option("--cn <text>", "common name (default: the name)")
    .option("--days <n>", "how long it is valid", wholeNumber(1, daysMax), 3650)
    .option("--issuer-cert <file>", "make an intermediate, below this CA")
    .option("--issuer-key <file>", "its private key")
    .addHelpText(
      "after",
      `\nExamples:
  $ hubwire ca create factory
  $ hubwire ca create line-1 --issuer-cert factory.pem --issuer-key factory-key.pem`,
    )
    .action(async (name: string, options: CreateOptions, command: Command) => {
      const { output } = contextOf(command);
      const { makeDeviceCa } = await import("@hubwire/hub");
      const { cn = name, days, issuerCert, issuerKey } = options;
      const issuer = pairOf(issuerCert, issuerKey, "--issuer-cert and --issuer-key");
      const made = await makeDeviceCa({ cn, days, wallMs: Date.now() }, issuer);
      const files = writePair(name, made);
      output.line(`${files.certFile} and ${files.keyFile}`, files);
      output.note(`Next: hubwire ca upload ${name} ${files.certFile}`);
    });
}

function addUpload(ca: Command): void {
  ca.command("upload <name> <file>")
    .description("give the hub a CA's certificate; it counts once it is verified")
    .option("--verified", "vouch for it instead of proving possession of its key")
    .option("--if-match <etag>", "replace the CA of this name, if it still has this etag")
    .addHelpText(
      "after",
      `\nExamples:
  $ hubwire ca upload factory factory.pem
  $ hubwire ca upload factory factory.pem --verified`,
    )
    .action((name: string, file: string, options: UploadOptions, command: Command) =>
      interruptible(async (signal) => {
        const { output, target } = contextOf(command);
        const pem = readCertificates(file, "The CA");
        const { verified = false, ifMatch } = options;
        const stored = await withService(target(), (client) =>
          client.certificates.upload({ name, pem, isVerified: verified }, { ifMatch, signal }),
        );
        output.line(`Uploaded ${name}: ${stateOf(stored)}.`, stored);
        if (!verified)
          output.note(`Next: hubwire ca verify ${name} --ca-cert ${file} --ca-key KEY-FILE`);
      }),
    );
}

type UploadOptions = { verified?: boolean; ifMatch?: string };
type VerifyOptions = { caCert?: string; caKey?: string; proof?: string };

function addVerify(ca: Command): void {
  ca.command("verify <name>")
    .description("prove possession of a CA's key, as in the service")
    .option("--ca-cert <file>", "the CA's certificate")
    .option("--ca-key <file>", "its private key: the proof is made here, and the key stays here")
    .option("--proof <file>", "a certificate made elsewhere: signed by the CA, CN = the code")
    .addHelpText(
      "after",
      `
With a key it is one step. Without one it prints the verification code; have the CA sign a certificate
with that code as its CN, and pass it with --proof.

Examples:
  $ hubwire ca verify factory --ca-cert factory.pem --ca-key factory-key.pem
  $ hubwire ca verify factory
  $ hubwire ca verify factory --proof proof.pem`,
    )
    .action((name: string, options: VerifyOptions, command: Command) =>
      interruptible(async (signal) => {
        const { output, target } = contextOf(command);
        const pair = pairOf(options.caCert, options.caKey, "--ca-cert and --ca-key");
        await withService(target(), async ({ certificates }) => {
          if (options.proof !== undefined) {
            const proof = readCertificates(options.proof, "The proof");
            const stored = await certificates.verify(name, proof, { signal });
            output.line(`${name} is ${stateOf(stored)}.`, stored);
            return;
          }
          const asked = await certificates.generateVerificationCode(name, { signal });
          const { verificationCode = "" } = asked.properties;
          if (pair === undefined) {
            output.line(verificationCode, asked);
            output.note(`Next: hubwire ca verify ${name} --proof PROOF-FILE`);
            return;
          }
          const { issueDeviceCertificate } = await import("@hubwire/hub");
          const proof = { cn: verificationCode, days: 1, wallMs: Date.now() };
          const { cert } = await issueDeviceCertificate(pair, proof);
          const stored = await certificates.verify(name, cert, { signal });
          output.line(`${name} is ${stateOf(stored)}.`, stored);
        });
      }),
    );
}

type IssueOptions = { caCert: string; caKey: string; module?: string; days: number; out?: string };

function addIssue(ca: Command): void {
  ca.command("issue <deviceId>")
    .description(
      "issue a device's certificate: CN = its id; certificate with the CA behind it, and key",
    )
    .requiredOption("--ca-cert <file>", "the CA's certificate")
    .requiredOption("--ca-key <file>", "its private key")
    .option("-m, --module <moduleId>", "for this module")
    .option("--days <n>", "how long it is valid", wholeNumber(1, daysMax), 365)
    .option("--out <name>", "file names begin with this (default: the device id)")
    .addHelpText(
      "after",
      `\nExample:
  $ hubwire ca issue camera-1 --ca-cert factory.pem --ca-key factory-key.pem`,
    )
    .action(async (deviceId: string, options: IssueOptions, command: Command) => {
      const { output } = contextOf(command);
      const { module, days, out } = options;
      const pair = pairOf(options.caCert, options.caKey, "--ca-cert and --ca-key")!;
      const { issueDeviceCertificate } = await import("@hubwire/hub");
      const cn = module === undefined ? deviceId : `${deviceId}/${module}`;
      const { cert, key } = await issueDeviceCertificate(pair, { cn, days, wallMs: Date.now() });
      // The chain goes along: the hub may know only the root above an intermediate.
      const files = writePair(out ?? cn.replace("/", "-"), { cert: cert + pair.cert, key });
      output.line(`${files.certFile} and ${files.keyFile}`, files);
      const create =
        module === undefined ? `device create ${deviceId}` : `module create ${deviceId} ${module}`;
      output.note(`Next, if it is not registered yet: hubwire ${create} --ca-signed`);
    });
}

const stateOf = ({ properties }: CaCertificate): string =>
  properties.isVerified ? "verified" : "not verified yet";

/** Both or neither. */
function pairOf(
  certFile: string | undefined,
  keyFile: string | undefined,
  names: string,
): { cert: string; key: string } | undefined {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new IotError("cli.usage", `Pass both ${names}.`);
  }
  return {
    cert: readCertificates(certFile, "The certificate"),
    key: readTextFile(keyFile, "The private key"),
  };
}

/** New files only: a key that is overwritten is lost. */
function writePair(
  name: string,
  { cert, key }: { cert: string; key: string },
): { certFile: string; keyFile: string } {
  const files = { certFile: `${name}.pem`, keyFile: `${name}-key.pem` };
  for (const file of Object.values(files)) {
    if (existsSync(file)) throw new IotError("cli.usage", `${file} is there already.`);
  }
  writeFileSync(files.keyFile, key, { mode: 0o600, flag: "wx" });
  writeFileSync(files.certFile, cert, { flag: "wx" });
  return files;
}

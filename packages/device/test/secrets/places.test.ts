import { randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { environmentVariable, secretFile, systemdCredential } from "@hubwire/device/secrets";
import { afterAll, afterEach, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "hubwire-places-"));
const variable = "HUBWIRE_TEST_SECRET";
const secret = randomBytes(32).toString("base64");
const before = process.env["CREDENTIALS_DIRECTORY"];

afterEach(() => {
  delete process.env[variable];
  if (before === undefined) delete process.env["CREDENTIALS_DIRECTORY"];
  else process.env["CREDENTIALS_DIRECTORY"] = before;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function written(text: string, mode: number, name = randomBytes(4).toString("hex")): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

test.each([
  ["as it is", secret, secret],
  ["without the line end of an editor", `${secret}\n`, secret],
  ["without the line end of a Windows editor", `${secret}\r\n`, secret],
  ["with all other white space", ` ${secret} \n\n`, ` ${secret} \n`],
])("a secret in a file is read %s", async (_name, text, read) => {
  expect(await secretFile(written(text, 0o600)).read()).toBe(read);
});

test.each([
  ["owner", 0o600, "read"],
  ["owner", 0o400, "read"],
  ["owner", 0o640, "secret.exposed"],
  ["owner", 0o604, "secret.exposed"],
  ["group", 0o640, "read"],
  ["group", 0o660, "secret.exposed"],
  ["group", 0o644, "secret.exposed"],
  ["anyone", 0o444, "read"],
  ["anyone", 0o646, "secret.exposed"],
] as const)("readable by %s, with rights %o: %s", async (readableBy, mode, outcome) => {
  const reading = secretFile(written(secret, mode), { readableBy }).read();
  expect(
    await reading.then(
      () => "read",
      (error: { code: string }) => error.code,
    ),
  ).toBe(outcome);
});

test("a file that is replaced is read anew; one that is gone, empty, huge or no file is told", async () => {
  const file = written("first", 0o600);
  const source = secretFile(file);
  expect(await source.read()).toBe("first");
  writeFileSync(file, "second");
  expect(await source.read()).toBe("second");
  writeFileSync(file, "\n");
  await expect(source.read()).rejects.toMatchObject({ code: "secret.missing" });
  writeFileSync(file, Buffer.alloc(1024 * 1024 + 1));
  await expect(source.read()).rejects.toMatchObject({ code: "secret.unreadable" });
  rmSync(file);
  await expect(source.read()).rejects.toMatchObject({ code: "secret.missing" });
  execFileSync("mkfifo", ["-m", "600", file]);
  await expect(source.read()).rejects.toMatchObject({ code: "secret.unreadable" });
});

test("a systemd credential is read from the folder systemd names", async () => {
  const credentials = join(folder, "credentials");
  mkdirSync(credentials);
  process.env["CREDENTIALS_DIRECTORY"] = credentials;
  // With DynamicUser= systemd grants access by a list, which shows as a right of the group.
  written(secret, 0o440, "credentials/hub-key");
  expect(await systemdCredential("hub-key").read()).toBe(secret);
  await expect(systemdCredential("other").read()).rejects.toMatchObject({ code: "secret.missing" });
  written(secret, 0o444, "credentials/open");
  await expect(systemdCredential("open").read()).rejects.toMatchObject({ code: "secret.exposed" });
  symlinkSync(folder, join(credentials, "folder"));
  await expect(systemdCredential("folder").read()).rejects.toMatchObject({
    code: "secret.unreadable",
  });
});

test("without systemd it says so; a folder that is no full path is not believed", async () => {
  delete process.env["CREDENTIALS_DIRECTORY"];
  await expect(systemdCredential("key").read()).rejects.toMatchObject({ code: "secret.missing" });
  process.env["CREDENTIALS_DIRECTORY"] = "credentials";
  await expect(systemdCredential("key").read()).rejects.toMatchObject({
    code: "secret.unreadable",
  });
});

test.each(["../key", "a/b", "/etc/passwd", ".", "..", "", "a\0b", "a b", "x".repeat(256)])(
  "%j is no name of a credential",
  (name) => {
    expect(() => systemdCredential(name)).toThrow(
      expect.objectContaining({ code: "argument.invalid" }),
    );
  },
);

test("an environment variable is read each time, and taken away on request", async () => {
  process.env[variable] = "first";
  const left = environmentVariable(variable);
  expect(await left.read()).toBe("first");
  process.env[variable] = secret;
  expect(await left.read()).toBe(secret);
  const taken = environmentVariable(variable, { remove: true });
  expect(process.env[variable]).toBeUndefined();
  const child = execFileSync(process.execPath, ["-p", `process.env["${variable}"]`]);
  expect(String(child).trim()).toBe("undefined");
  expect(await taken.read()).toBe(secret);
  expect(await taken.read()).toBe(secret);
  expect(inspect(taken, { depth: Infinity, showHidden: true })).not.toContain(secret);
  await expect(left.read()).rejects.toMatchObject({ code: "secret.missing" });
});

test("an empty variable is none, and a name with = in it is refused", async () => {
  process.env[variable] = "";
  await expect(environmentVariable(variable).read()).rejects.toMatchObject({
    code: "secret.missing",
  });
  expect(() => environmentVariable("A=B")).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
});

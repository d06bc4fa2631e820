import { spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isDataDirectoryLocked, openDataDirectory } from "../../src/data-directory.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "hubwire-data-"));
});
afterEach(() => rm(root, { recursive: true }));

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

test("a new directory is its owner's alone, and so are the files in it", async () => {
  const path = join(root, "a", "b");
  const directory = await openDataDirectory(path);
  expect(directory.path).toBe(path);
  expect(await modeOf(path)).toBe(0o700);
  for (const name of await readdir(path)) expect(await modeOf(join(path, name)), name).toBe(0o600);
  directory.release();
});

test("an empty directory is closed to others; one with something in it keeps its mode", async () => {
  const [empty, used] = [join(root, "empty"), join(root, "used")];
  await mkdir(empty);
  await mkdir(used);
  await chmod(empty, 0o755);
  await chmod(used, 0o755);
  await writeFile(join(used, "holiday.jpg"), "");
  (await openDataDirectory(empty)).release();
  (await openDataDirectory(used)).release();
  expect(await modeOf(empty)).toBe(0o700);
  expect(await modeOf(used)).toBe(0o755);
  expect(await modeOf(join(used, "hub.db"))).toBe(0o600);
});

test("a directory in use is refused by name, and free again after release", async () => {
  const path = join(root, "data");
  expect(await isDataDirectoryLocked(path)).toBe(false);
  const first = await openDataDirectory(path);
  expect(await isDataDirectoryLocked(path)).toBe(true);
  await expect(openDataDirectory(path)).rejects.toMatchObject({
    code: "hub.data_locked",
    message: `Another hub is using ${path}`,
    remedy: expect.stringContaining("Stop the other hub") as string,
  });
  // Being refused must not have loosened the holder's lock.
  expect(await isDataDirectoryLocked(path)).toBe(true);
  first.release();
  expect(await isDataDirectoryLocked(path)).toBe(false);
  (await openDataDirectory(path)).release();
});

test("the lock holds against another process, and dies with it however it dies", async () => {
  const path = join(root, "data");
  const source = new URL("../../src/data-directory.ts", import.meta.url).href;
  const holder = spawn(
    process.execPath,
    [
      "--conditions=@hubwire/source",
      "--input-type=module",
      "--eval",
      `const { openDataDirectory } = await import(${JSON.stringify(source)});
       await openDataDirectory(${JSON.stringify(path)});
       console.log("held");
       setInterval(() => {}, 1000);`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const ended = once(holder, "exit");
  await once(holder.stdout, "data");
  await expect(openDataDirectory(path)).rejects.toMatchObject({ code: "hub.data_locked" });
  expect(await isDataDirectoryLocked(path)).toBe(true);
  holder.kill("SIGKILL");
  await ended;
  (await openDataDirectory(path)).release();
});

test("a path that is a file, or goes through one, is refused by name", async () => {
  const file = join(root, "file");
  await writeFile(file, "");
  for (const path of [file, join(file, "below")]) {
    await expect(openDataDirectory(path)).rejects.toMatchObject({
      code: "argument.invalid",
      message: expect.stringContaining(path) as string,
    });
  }
});

import { createHash } from "node:crypto";
import { mkdir, realpath, stat, unlink } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { Server } from "node:net";
import { join } from "node:path";
import { IotError } from "@hubwire/protocol";

/** Lets go of the directory. */
export type Unlock = () => Promise<void>;

/**
 * Takes a directory for this process, making it when it is missing. The lock is a socket that listens: it goes with its
 * holder, however that ends, and never has to be cleaned up by hand.
 *
 * - Linux: an abstract socket named by the directory's device and inode, so that one directory is one lock whatever path leads
 *   to it. Containers that share a directory and not their network do not see each other's.
 * - Windows: a named pipe, by the directory's real path.
 * - elsewhere: a socket file in the directory. A dead one is recognised, because nobody answers there.
 * @throws IotError `device.outbox_locked`; what the file system says
 */
export async function lockDirectory(directory: string): Promise<Unlock> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { platform } = process;
  if (platform === "linux") {
    const { dev, ino } = await stat(directory, { bigint: true });
    return listen(`\0hubwire-outbox-${dev}-${ino}`, directory);
  }
  if (platform === "win32") {
    const path = (await realpath(directory)).toLowerCase();
    const name = createHash("sha256").update(path).digest("hex");
    return listen(`\\\\.\\pipe\\hubwire-outbox-${name}`, directory);
  }
  return lockBySocketFile(directory);
}

/** Exported for its test: the way of systems that have no sockets without files. */
export async function lockBySocketFile(directory: string): Promise<Unlock> {
  // Relative to nothing else: a socket's path may have only about a hundred bytes.
  const path = join(directory, "lock");
  try {
    return await listen(path, directory);
  } catch (error) {
    if (await answers(path)) throw error;
  }
  await unlink(path).catch(() => {});
  return listen(path, directory);
}

function listen(path: string, directory: string): Promise<Unlock> {
  return new Promise((resolve, reject) => {
    const server: Server = createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === "EADDRINUSE";
      reject(isTaken ? locked(directory, error) : error);
    });
    server.listen({ path, exclusive: true }, () => {
      // Holding a lock is no reason for a process to live on.
      server.unref();
      resolve(() => new Promise((done) => server.close(() => done())));
    });
  });
}

const locked = (directory: string, cause: Error): IotError =>
  new IotError("device.outbox_locked", `Another process has the outbox ${directory} open`, {
    cause,
  });

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

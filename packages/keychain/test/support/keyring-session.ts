import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A bus of our own with a gnome-keyring of our own, whose files are in a folder of our own. */
export class KeyringSession implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "hubwire-keychain-"));
  #session: ChildProcess | undefined;

  /**
   * Starts it and makes it this process's. A process keeps the first bus it has talked to, so that each kind of session
   * needs a test file of its own.
   */
  async start(daemon: string): Promise<void> {
    const session = spawn(
      "dbus-run-session",
      ["--", "sh", "-c", `${daemon} >/dev/null; echo "$DBUS_SESSION_BUS_ADDRESS"; exec cat`],
      {
        stdio: ["pipe", "pipe", "ignore"],
        env: { PATH: process.env["PATH"], HOME: this.folder, XDG_RUNTIME_DIR: this.folder },
      },
    );
    this.#session = session;
    let text = "";
    for await (const chunk of session.stdout) {
      text += String(chunk);
      if (text.includes("\n")) break;
    }
    process.env["DBUS_SESSION_BUS_ADDRESS"] = text.trim();
  }

  [Symbol.dispose](): void {
    this.#session?.stdin?.destroy();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

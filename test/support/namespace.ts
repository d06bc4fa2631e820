import { spawn } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");

// Without iproute2: raise the loopback interface by ioctl (SIOCGIFFLAGS, SIOCSIFFLAGS), then become the program.
const raiseLoopback = `
import fcntl, os, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
flags = struct.unpack("16sh", fcntl.ioctl(s, 0x8913, struct.pack("16sh", b"lo", 0)))[1]
fcntl.ioctl(s, 0x8914, struct.pack("16sh", b"lo", flags | 1))
os.execvp(sys.argv[1], sys.argv[1:])
`;

export type ScenarioResult = { code: number | null; stdout: string; stderr: string };

/**
 * Runs a TypeScript scenario in a private network namespace: clients that hard-code 8883 and 443 get those ports, two
 * test files never clash, and nothing outside this machine can be reached.
 */
export function runInNamespace(
  scenario: string,
  options: {
    env?: Record<string, string>;
    timeoutMs: number;
    args?: readonly string[];
    /** As an ordinary user, who may not listen on ports below 1024. */
    unprivileged?: boolean;
  },
): Promise<ScenarioResult> {
  const child = spawn(
    "unshare",
    [
      "-rn",
      "--",
      "python3",
      "-c",
      raiseLoopback,
      // A user namespace inside has no rights over the network outside of it.
      ...(options.unprivileged === true ? ["unshare", "-r", "--"] : []),
      process.execPath,
      "--conditions=@hubwire/source",
      "--disable-warning=ExperimentalWarning",
      join(root, scenario),
      ...(options.args ?? []),
    ],
    { cwd: root, env: { ...process.env, ...options.env }, stdio: ["ignore", "pipe", "pipe"] },
  );
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({
        code,
        stdout: Buffer.concat(out).toString("utf8"),
        stderr: Buffer.concat(err).toString("utf8"),
      });
    });
  });
}

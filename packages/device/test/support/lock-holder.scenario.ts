/** Takes the lock of a directory, says so, and holds it until it is killed. */
import { lockDirectory } from "../../src/outbox/directory-lock.ts";

await lockDirectory(process.argv[2] ?? "");
process.stdout.write("held\n");
process.stdin.resume().on("end", () => process.exit(1));

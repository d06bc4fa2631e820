#!/usr/bin/env node
// Checked before anything else loads, so that an old Node gets a sentence instead of a syntax error.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  process.stderr.write(
    `hubwire needs Node 22.13 or newer and this is ${process.version}. Install a newer Node from nodejs.org.\n`,
  );
  process.exitCode = 2;
} else {
  // A reader that went away (`| head`) ends the command quietly instead of failing it.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
  const { main } = await import("./main.ts");
  process.exitCode = await main(process.argv.slice(2));
}

export {};

#!/usr/bin/env node
// Plain JavaScript and no import before the check, so that an old Node gets a sentence instead of a syntax error. It is in the
// repository, not in dist, because npm links a command only if its file exists when it installs.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  process.stderr.write(
    `hubwire needs Node 22.13 or newer and this is ${process.version}. Install a newer Node from nodejs.org.\n`,
  );
  process.exit(2);
}

// A reader that went away (`| head`) ends the command quietly instead of failing it.
process.stdout.on("error", (error) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

import("hubwire/main").then(
  async ({ main }) => {
    process.exitCode = await main(process.argv.slice(2));
  },
  (error) => {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    process.stderr.write("hubwire is not built yet. In a clone, run: npm start\n");
    process.exitCode = 2;
  },
);

// Dials the servers in HUBWIRE_TEST_SERVERS from the built transport package and prints, as JSON, which were trusted: Node reads its own
// settings about trust once, at its start.
import { tlsDialer } from "@hubwire/transport";

const { servers, ca } = JSON.parse(process.env.HUBWIRE_TEST_SERVERS);
const dial = tlsDialer(ca === undefined ? {} : { ca });
const seen = {};
for (const [name, port] of Object.entries(servers)) {
  const target = { host: "localhost", port, identity: undefined };
  seen[name] = await dial(target, new AbortController().signal).then(
    (stream) => (stream.destroy(), "trusted"),
    (error) => error.code,
  );
}
process.stdout.write(`${JSON.stringify(seen)}\n`);

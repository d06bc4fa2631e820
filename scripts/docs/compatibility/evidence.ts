import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

/**
 * A test that shows a behaviour: its title (or, in a vector file, the name of a case), and where to look for it: a file, or a
 * folder, so that tests may move between files.
 */
export type Shown = { within: string; title: string };

const root = join(import.meta.dirname, "..", "..", "..");

export const within =
  (path: string) =>
  (...titles: string[]): Shown[] =>
    titles.map((title) => ({ within: path, title }));

const hub = (path: string) => within(`packages/hub/test/${path}`);
const protocol = (path: string) => within(`packages/protocol/test/${path}`);
const device = within("packages/device/test/");
const vector = (name: string) => within(`vectors/${name}.json`);

export const by = {
  hub: {
    amqp: hub("amqp/"),
    auth: hub("auth/"),
    data: hub("hub/"),
    identities: hub("identities/"),
    methods: hub("methods/"),
    mqtt: hub(""),
    query: hub("query/"),
    rest: hub("rest/"),
    twins: hub("twins/"),
  },
  protocol: { iothub: protocol("iothub/"), mqtt: protocol("mqtt-"), twin: protocol("twin/") },
  device,
  vectors: {
    auth: vector("hub-auth"),
    connectionString: vector("connection-string"),
    bag: vector("property-bag"),
    packets: vector("mqtt-violations"),
    query: vector("query"),
    sas: vector("sas-token"),
    topics: vector("topics"),
    username: vector("mqtt-username"),
  },
  tls: within("packages/transport/test/"),
  log: within("packages/log/test/"),
  conformance: within("test/conformance/"),
};

/** The text of every test and vector file, by path. */
export function readTests(): ReadonlyMap<string, string> {
  const packages = readdirSync(join(root, "packages"))
    .map((name) => `packages/${name}/test`)
    .filter((folder) => existsSync(join(root, folder)));
  const texts = new Map<string, string>();
  for (const folder of [...packages, "test", "vectors"]) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
      if (!/\.(test\.ts|json)$/u.test(entry)) continue;
      const file = `${folder}/${entry}`;
      texts.set(file, readFileSync(join(root, file), "utf8"));
    }
  }
  return texts;
}

/** The one file with that test. @throws when there is none, or more than one */
export function fileOf({ within: path, title }: Shown, tests: ReadonlyMap<string, string>): string {
  const whole = ['"', "`"].map((quote) => `${quote}${title}${quote}`);
  const files = [...tests]
    .filter(
      ([file, text]) => file.startsWith(path) && whole.some((literal) => text.includes(literal)),
    )
    .map(([file]) => file);
  const [file, ...others] = files;
  if (file === undefined) throw new Error(`no test “${title}” within ${path}`);
  if (others.length > 0) throw new Error(`“${title}” is in ${files.join(" and in ")}`);
  return file;
}

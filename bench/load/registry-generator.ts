/**
 * The back end of the registry benchmark, in a process of its own. One JSON line in, one out: either point reads and writes at
 * full speed on kept connections, or queries one after the other with the time each took.
 */
import { deviceIdOf } from "./registry-fleet.ts";
import { HttpConnection, type HttpAnswer } from "./registry-http.ts";

type Target = { port: number; ca: string; authorization: string; devices: number };
export type RateOptions = Target & {
  type: "rate";
  what: "read" | "write";
  connections: number;
  warmMs: number;
  measureMs: number;
};
export type LatencyOptions = Target & { type: "latency"; queries: readonly TimedQuery[] };
export type TimedQuery = { name: string; texts: readonly string[]; pages?: number };
export type RateResult = { perS: number; generatorCpu: number };
export type LatencyResult = { name: string; ms: number[]; items: number }[];

const version = "api-version=2021-04-12";

async function rate(options: RateOptions): Promise<RateResult> {
  const { port, ca, authorization, devices, what, connections, warmMs, measureMs } = options;
  let count = 0;
  let n = 0;
  let stopped = false;
  const turn = (connection: HttpConnection): void => {
    if (stopped) return;
    n = (n + 7919) % devices;
    const path = `/twins/${deviceIdOf(n)}?${version}`;
    const done = ({ status, body }: HttpAnswer): void => {
      if (status !== 200) throw new Error(`${status}: ${body.slice(0, 300)}`);
      count++;
      turn(connection);
    };
    if (what === "read") connection.request("GET", path, undefined, done);
    else connection.request("PATCH", path, `{"tags":{"turn":${count}}}`, done);
  };
  const open = await Promise.all(
    Array.from({ length: connections }, () => HttpConnection.open(port, ca, authorization)),
  );
  for (const connection of open) turn(connection);
  await new Promise((resolve) => setTimeout(resolve, warmMs));
  count = 0;
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, measureMs));
  const seconds = (performance.now() - startedMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  stopped = true;
  const perS = count / seconds;
  for (const connection of open) connection.close();
  return { perS, generatorCpu: (cpu.user + cpu.system) / 1e6 / seconds };
}

async function latency({
  port,
  ca,
  authorization,
  queries,
}: LatencyOptions): Promise<LatencyResult> {
  const connection = await HttpConnection.open(port, ca, authorization);
  const ask = (text: string, continuation: string | undefined): Promise<HttpAnswer> =>
    new Promise((resolve) => {
      const headers = continuation === undefined ? "" : `x-ms-continuation: ${continuation}\r\n`;
      const body = JSON.stringify({ query: text });
      connection.request("POST", `/devices/query?${version}`, body, resolve, headers);
    });
  const results: LatencyResult = [];
  for (const { name, texts, pages = 1 } of queries) {
    const ms: number[] = [];
    let items = 0;
    for (const text of texts) {
      let continuation: string | undefined;
      for (let page = 0; page < pages; page++) {
        const startedMs = performance.now();
        const answer = await ask(text, continuation);
        ms.push(performance.now() - startedMs);
        if (answer.status !== 200) throw new Error(`${text}: ${answer.body.slice(0, 300)}`);
        items = (JSON.parse(answer.body) as unknown[]).length;
        continuation = answer.continuation;
      }
    }
    results.push({ name, ms, items });
  }
  connection.close();
  return results;
}

const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
const options = JSON.parse(Buffer.concat(chunks).toString("utf8")) as RateOptions | LatencyOptions;
const result = options.type === "rate" ? await rate(options) : await latency(options);
process.stdout.write(JSON.stringify(result));

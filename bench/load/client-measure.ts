export type ClientOptions = {
  connectionString: string;
  ca: string;
  inflight: number;
  /** hubwire only: everything is on disk before it counts as accepted. */
  durable: boolean;
  payloadBytes: number;
  warmMs: number;
  measureMs: number;
};

export type ClientResult = { perS: number; cpuSPer100k: number; connectMs: number };

export async function readClientOptions(): Promise<ClientOptions> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString("utf8")) as ClientOptions;
}

/** Keeps `inflight` sends going, warms up, measures, prints one JSON line. */
export async function measureClient(
  options: ClientOptions,
  connectMs: number,
  send: (done: () => void) => void,
): Promise<void> {
  let completed = 0;
  let running = true;
  const next = (): void => {
    if (running) send(onDone);
  };
  const onDone = (): void => {
    completed += 1;
    next();
  };
  for (let index = 0; index < options.inflight; index += 1) next();
  await new Promise((resolve) => setTimeout(resolve, options.warmMs));
  const before = { completed, cpu: process.cpuUsage(), at: performance.now() };
  await new Promise((resolve) => setTimeout(resolve, options.measureMs));
  const elapsedS = (performance.now() - before.at) / 1000;
  const cpu = process.cpuUsage(before.cpu);
  const count = completed - before.completed;
  running = false;
  const result: ClientResult = {
    perS: count / elapsedS,
    cpuSPer100k: (((cpu.user + cpu.system) / 1e6) * 100_000) / count,
    connectMs,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

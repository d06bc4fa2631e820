import { crypto } from "./builtins.ts";

export type ChainMemoryLimits = { leavesMax: number; chainsMax: number; chainBytesMax: number };

/** At most about 30 MiB: 100,000 devices under 1,000 different chains. A longer chain than 16 KiB is no chain of devices. */
const defaultLimits: ChainMemoryLimits = {
  leavesMax: 100_000,
  chainsMax: 1_000,
  chainBytesMax: 16_384,
};

/**
 * The chain each client certificate came with. A resumed TLS session carries the client's own certificate and not those
 * above it, so a device whose certificate an intermediate issued would be unknown on every second connection.
 * Fleets share their intermediates: a chain is kept once. What was not used for longest goes first.
 */
export class ChainMemory {
  readonly #limits: ChainMemoryLimits;
  /** SHA-256 of the leaf → key of its chain. */
  readonly #leaves = new Map<string, string>();
  readonly #chains = new Map<string, readonly Uint8Array[]>();

  constructor(limits: Partial<ChainMemoryLimits> = {}) {
    this.#limits = { ...defaultLimits, ...limits };
  }

  remember(leafSha256: string, chain: readonly Uint8Array[]): void {
    if (chain.length === 0) return;
    const hash = crypto().createHash("sha256");
    let bytes = 0;
    for (const certificate of chain) {
      bytes += certificate.length;
      hash.update(certificate);
    }
    if (bytes > this.#limits.chainBytesMax) return;
    const key = hash.digest("base64");
    use(this.#chains, key, this.#chains.get(key) ?? chain, this.#limits.chainsMax);
    use(this.#leaves, leafSha256, key, this.#limits.leavesMax);
  }

  recall(leafSha256: string): readonly Uint8Array[] {
    const key = this.#leaves.get(leafSha256);
    const chain = key === undefined ? undefined : this.#chains.get(key);
    if (key === undefined || chain === undefined) return [];
    use(this.#leaves, leafSha256, key, this.#limits.leavesMax);
    use(this.#chains, key, chain, this.#limits.chainsMax);
    return chain;
  }
}

/** Maps keep the order of insertion: the first entry is the one not used for longest. */
function use<T>(map: Map<string, T>, key: string, value: T, max: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= max) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    break;
  }
}

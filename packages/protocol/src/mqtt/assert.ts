/** For states that only a bug in the calling code can reach; never for anything a peer sends. */
export function assert(holds: boolean, reason: string): asserts holds {
  if (!holds) throw new Error(`assertion failed: ${reason}`);
}

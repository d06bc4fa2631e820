/** Lets the event loop turn until something is so. Bounded: a test that waits for what never comes fails. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < 100_000; turn++) {
    if (isSo()) return;
    // oxlint-disable-next-line no-await-in-loop -- turns come one after the other
    await new Promise(setImmediate);
  }
  throw new Error(`waited in vain: ${what}`);
}

export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    // oxlint-disable-next-line no-await-in-loop -- turns come one after the other
    await new Promise(setImmediate);
  }
}

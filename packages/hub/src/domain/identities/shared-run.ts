/**
 * One run at a time of something costly that many ask for. Whoever asks while a run is under way gets the next one, which
 * all who ask meanwhile share: a run never misses what was written before it was asked for.
 */
export function shareRuns<T>(run: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  let next: Promise<T> | undefined;
  const start = (): Promise<T> => {
    next = undefined;
    const started = run().finally(() => {
      if (running === started) running = undefined;
    });
    running = started;
    return started;
  };
  return () => {
    if (running === undefined) return start();
    return (next ??= running.then(start, start));
  };
}

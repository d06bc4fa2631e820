/** How often, and how long, a throttled call is tried again; never past the call's own deadline. */
export type RetryOptions = {
  /** Tries in all. Default 4; 1 never tries again. */
  attemptsMax?: number;
  /** The longest single wait that is accepted, milliseconds; a hub that asks for more is not waited for. Default 30 s. */
  waitMsMax?: number;
};

const attemptsMaxDefault = 4;
const waitMsMaxDefault = 30_000;
/** Doubles with each try, when the hub does not say how long. */
const firstWaitMs = 500;

/**
 * How long to wait before asking again, milliseconds; undefined when it is not to be asked again.
 * 429 means that nothing was done, so any call may be repeated; 503 may have been half done, so only reading is.
 */
export function waitBeforeRetry(
  options: RetryOptions,
  attempt: number,
  method: string,
  answer: { status: number; retryAfter: string | undefined },
  wallMs: number,
): number | undefined {
  const isAgain = answer.status === 429 || (answer.status === 503 && method === "GET");
  if (!isAgain || attempt >= (options.attemptsMax ?? attemptsMaxDefault)) return undefined;
  const waitMs = retryAfterMs(answer.retryAfter, wallMs) ?? firstWaitMs * 2 ** (attempt - 1);
  return waitMs <= (options.waitMsMax ?? waitMsMaxDefault) ? waitMs : undefined;
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfterMs(text: string | undefined, wallMs: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/u.test(text.trim())) return Number(text) * 1000;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - wallMs);
}

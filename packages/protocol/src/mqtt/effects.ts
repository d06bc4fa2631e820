/** What a call returns when nothing happened. Frozen and shared, so that quiet calls allocate nothing. */
export const NONE: readonly never[] = Object.freeze([]);

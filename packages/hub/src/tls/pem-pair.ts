/** A certificate with its key, both PEM. */
export type PemPair = { cert: string; key: string };

/** Every bound of the AMQP listener; each has a default that a test or a laptop never meets. */
export type AmqpLimits = {
  /** Streams at a time, open or not yet; more are closed at once. */
  connectionsMax: number;
  /** Of one connection. Azure Event Hubs allows 5,000 links a connection; a hub on a laptop needs fewer. */
  sessionsMax: number;
  /** Of one session. */
  linksMax: number;
  /** Largest frame taken, bytes: announced in our open. */
  frameBytesMax: number;
  /** Largest message taken on a link, bytes: announced in our attach. */
  messageBytesMax: number;
  /** Shared access signatures kept for one connection (403005 on Azure). */
  tokensMax: number;
  /** Deliveries on a sending link of ours that wait for their outcome, and answers that wait for credit. */
  unsettledMax: number;
  /** From the first byte to the peer's open. */
  openTimeoutMs: number;
  /** From open to the first token that is good; then the connection is closed, as Azure does. */
  tokenTimeoutMs: number;
  /** From the first byte of a frame to its last. */
  frameTimeoutMs: number;
  /** Announced in our open: a peer silent for twice as long is closed. Azure IoT Hub says four minutes. */
  idleTimeoutMs: number;
  /** Events read from the log at a time for one reader. */
  eventsBatchMax: number;
  eventsBatchBytesMax: number;
  /** How long a stop waits for a peer's close. */
  stopTimeoutMs: number;
};

export const defaultAmqpLimits: AmqpLimits = {
  connectionsMax: 1_000,
  sessionsMax: 256,
  linksMax: 256,
  frameBytesMax: 65_536,
  messageBytesMax: 1_048_576,
  tokensMax: 512,
  unsettledMax: 2_048,
  openTimeoutMs: 15_000,
  tokenTimeoutMs: 60_000,
  frameTimeoutMs: 60_000,
  idleTimeoutMs: 240_000,
  eventsBatchMax: 512,
  eventsBatchBytesMax: 262_144,
  stopTimeoutMs: 1_000,
};

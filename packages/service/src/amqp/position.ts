import { IotError } from "@hubwire/protocol";

/** Where reading begins; default behind the newest event. */
export type EventStart =
  | "earliest"
  | "latest"
  | {
      sequenceNumber: number;
      /** Whether the event with this number is read too. Default true. */
      isInclusive?: boolean;
    }
  | {
      offset: string;
      /** Default false, as in the service's own clients. */
      isInclusive?: boolean;
    }
  /** The first event the hub had after that. */
  | { enqueuedTime: Date };

/**
 * The filter the service takes for it.
 * @see observed in @azure/event-hubs 6.0, `eventPosition`
 */
export function selectorOf(start: EventStart): string {
  if (start === "earliest") return "amqp.annotation.x-opt-offset > '-1'";
  if (start === "latest") return "amqp.annotation.x-opt-offset > '@latest'";
  if ("sequenceNumber" in start) {
    const { sequenceNumber, isInclusive = true } = start;
    if (!Number.isSafeInteger(sequenceNumber)) throw wrong("sequenceNumber is a whole number");
    return `amqp.annotation.x-opt-sequence-number ${isInclusive ? ">=" : ">"} '${sequenceNumber}'`;
  }
  if ("offset" in start) {
    const { offset, isInclusive = false } = start;
    if (!/^-?\d{1,20}$/u.test(offset)) throw wrong("offset is a number as text");
    return `amqp.annotation.x-opt-offset ${isInclusive ? ">=" : ">"} '${offset}'`;
  }
  const atMs = start.enqueuedTime.getTime();
  if (Number.isNaN(atMs)) throw wrong("enqueuedTime is a date");
  return `amqp.annotation.x-opt-enqueued-time > '${atMs}'`;
}

const wrong = (what: string): IotError => new IotError("argument.invalid", `The start's ${what}`);

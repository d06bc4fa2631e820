import type { Delivery, EventContext, Message, Receiver } from "rhea";
import { IotError } from "@hubwire/protocol";
import type { FeedbackRecord } from "../types.ts";
import type { Deadline } from "../waiting.ts";
import type { AmqpConnection } from "./connection.ts";
import { errorOf } from "./connection.ts";
import { bytesOf } from "./event.ts";
import { Queue } from "./queue.ts";
import type { Source } from "./resilient.ts";

/** What became of several messages. One of the three settles it; else it comes again when the link ends. */
export type FeedbackBatch = {
  records: FeedbackRecord[];
  /** When the hub made the batch, if it says. */
  enqueuedTime: Date | undefined;
  /** It does not come again. @throws IotError `service.lock_lost` when the link it came by is gone */
  complete(): void;
  /** It comes again. */
  abandon(): void;
  /** It does not come again, to anybody. */
  reject(): void;
};

/** Batches asked for ahead. */
const credit = 10;

/** The feedback of a connection, batch by batch. */
export async function openFeedback(
  connection: AmqpConnection,
  deadline: Deadline,
): Promise<Source<FeedbackBatch>> {
  const receiver = await connection.openReceiver(
    {
      source: "/messages/serviceBound/feedback",
      autoaccept: false,
      credit_window: 0,
    },
    deadline,
  );
  const queue = new Queue<FeedbackBatch>();
  receiver.on("message", ({ message, delivery }: EventContext) => {
    if (message === undefined || delivery === undefined) return;
    try {
      queue.push(batchOf(message, delivery, receiver, connection));
    } catch (error) {
      queue.fail(error);
    }
  });
  const closed = (): void =>
    queue.fail(connection.refusal("The hub closed the link for feedback", errorOf(receiver)));
  receiver.on("receiver_error", closed).on("receiver_close", closed);
  const forget = connection.onLost((error) => queue.fail(error));
  receiver.add_credit(credit);
  return {
    next: () => queue.next(),
    async close() {
      forget();
      if (!receiver.is_closed()) receiver.close();
    },
  };
}

function batchOf(
  message: Message,
  delivery: Delivery,
  receiver: Receiver,
  connection: AmqpConnection,
): FeedbackBatch {
  let isSettled = false;
  const settle = (how: (delivery: Delivery) => void) => (): void => {
    if (isSettled) return;
    if (connection.isLost || receiver.is_closed()) {
      throw new IotError("service.lock_lost", "The link this batch came by is gone");
    }
    isSettled = true;
    how(delivery);
    receiver.add_credit(1);
  };
  const enqueued: unknown = message.message_annotations?.["iothub-enqueuedtime"];
  return {
    records: recordsIn(bytesOf(message.body)),
    enqueuedTime: enqueued instanceof Date ? enqueued : undefined,
    complete: settle((one) => one.accept()),
    abandon: settle((one) => one.release()),
    reject: settle((one) => one.reject()),
  };
}

function recordsIn(bytes: Uint8Array): FeedbackRecord[] {
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as unknown;
    if (Array.isArray(value)) return value as FeedbackRecord[];
  } catch {
    // Said below.
  }
  throw new IotError("service.bad_answer", "A feedback message is no list of records");
}

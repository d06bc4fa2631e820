import { IotError } from "@hubwire/protocol";
import type { OutboxSettings } from "../outbox/outbox-settings.ts";
import { whoGives } from "./full-queue.ts";
import { Lane } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import type { Outgoing } from "./outgoing.ts";

/**
 * Makes room for new messages as the outbox's policy has it, or says why there is none.
 * @param message the first of the new ones @param count how many, of `bytes` in all
 * @throws IotError `device.queue_full`, `device.dropped_newest`, `device.dropped_priority`
 */
export function makeRoom(
  ledger: Ledger,
  settings: OutboxSettings,
  message: Outgoing,
  count: number,
  bytes: number,
): void {
  const { messagesMax, bytesMax } = settings;
  for (;;) {
    const { live, liveBytes } = ledger;
    const tooMany = live + count > messagesMax;
    // One that alone is larger than all the room there is goes when nothing else waits.
    const tooMuch = live > 0 && liveBytes + bytes > bytesMax;
    if (!tooMany && !tooMuch) return;
    const full = tooMany
      ? `${live} messages wait to be sent`
      : `${Math.round(liveBytes)} bytes wait to be sent`;
    const verdict = whoGives(settings, ledger.lanes, message.priority, full);
    if (!(verdict instanceof Lane)) {
      const { messageId } = message;
      if (verdict.code === "device.dropped_newest")
        ledger.countDrop("queue_full_newest", messageId);
      if (verdict.code === "device.dropped_priority") ledger.countDrop("priority", messageId);
      throw verdict;
    }
    giveUpFirst(ledger, verdict, settings.whenFull === "drop-oldest", full);
  }
}

/** The oldest of a lane is given up. */
function giveUpFirst(ledger: Ledger, lane: Lane, byAge: boolean, full: string): void {
  const reason = byAge ? "queue_full_oldest" : "priority";
  const error = new IotError(byAge ? "device.dropped_oldest" : "device.dropped_priority", full);
  const head = lane.head();
  if (head !== undefined) {
    ledger.drop(head, error, reason);
    return ledger.report(reason, head.messageId, lane.priority);
  }
  // It is on disk only: it is given up unread.
  const sequenceNumber = lane.storedFrom;
  const bytes = lane.unstore();
  if (lane.settled.has(sequenceNumber)) return ledger.skipped(bytes, undefined);
  const parked = lane.parked.get(sequenceNumber);
  if (parked !== undefined) {
    lane.parked.delete(sequenceNumber);
    ledger.tell(parked, error);
  }
  ledger.store?.settled(lane, sequenceNumber);
  ledger.skipped(bytes, reason);
  ledger.report(reason, parked?.messageId, lane.priority);
}

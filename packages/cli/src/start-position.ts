import type { EventStart } from "@hubwire/service/amqp";
import { InvalidArgumentError } from "commander";

const unitMs: Readonly<Record<string, number>> = { s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 };

/** `first`, `end`, a time, an age, a sequence number or an offset, as typed on a command line. */
export function parseStart(text: string): EventStart {
  if (text === "first") return "earliest";
  if (text === "end") return "latest";
  const age = /^(\d{1,9})([smhd])$/u.exec(text);
  if (age !== null) {
    const ms = Number(age[1]) * (unitMs[age[2] ?? ""] ?? 0);
    return { enqueuedTime: new Date(Math.max(0, Date.now() - ms)) };
  }
  const sequence = /^seq:(\d{1,15})$/u.exec(text);
  if (sequence !== null) return { sequenceNumber: Number(sequence[1]) };
  const offset = /^offset:(\d{1,20})$/u.exec(text);
  if (offset !== null) return { offset: offset[1] ?? "" };
  const time = /^\d{4}-\d\d-\d\d/u.test(text) ? new Date(text) : undefined;
  if (time !== undefined && !Number.isNaN(time.getTime())) return { enqueuedTime: time };
  throw new InvalidArgumentError(
    "Expected first, end, an age such as 10m, a time such as 2026-01-31T12:00:00Z, seq:N or offset:N.",
  );
}

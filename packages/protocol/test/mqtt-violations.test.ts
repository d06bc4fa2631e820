import { ClientSession, ServerSession, catalog } from "@hubwire/protocol";
import type { ClientEffect, ErrorCode, ServerEffect } from "@hubwire/protocol";
import { expect, test } from "vitest";
import vectors from "../../../vectors/mqtt-violations.json" with { type: "json" };
import { fromHex, toHex } from "./mqtt/packets.ts";
import {
  bytesOf,
  clientOptions,
  closeCode,
  openClient,
  openServer,
  publishPacket,
  request,
  serverOptions,
} from "./mqtt/sessions.ts";

type Case = (typeof vectors.cases)[number] & { answer?: string };
const cases: Case[] = vectors.cases;

/** The receiving end in the state the case begins with, nothing waiting in its output. */
function sessionFor({ role, phase }: Case): ServerSession | ClientSession {
  if (role === "server")
    return phase === "open" ? openServer() : new ServerSession(serverOptions, 0);
  if (phase === "open") return openClient();
  const session = new ClientSession(clientOptions);
  session.connect(request, 0);
  session.takeOutput();
  return session;
}

const receive = (session: ServerSession | ClientSession, bytes: Uint8Array) =>
  session.receive(bytes, 1) as readonly (ServerEffect | ClientEffect)[];

test.each(cases)("the $role closes with $code on $name", (violation) => {
  const session = sessionFor(violation);
  const effects = receive(session, fromHex(violation.hex));
  expect(closeCode(effects)).toBe(violation.code);
  const answer = session.takeOutput();
  expect(answer && toHex(answer)).toBe(violation.answer);
});

test.each(cases)("the $role says the same on $name when it comes byte by byte", (violation) => {
  const whole = receive(sessionFor(violation), fromHex(violation.hex));
  const session = sessionFor(violation);
  const effects: (ServerEffect | ClientEffect)[] = [];
  for (const byte of fromHex(violation.hex)) {
    effects.push(...receive(session, Uint8Array.of(byte)));
  }
  expect(effects).toEqual(whole);
});

test.each(cases)("after $name the $role is mute", (violation) => {
  const session = sessionFor(violation);
  receive(session, fromHex(violation.hex));
  session.takeOutput();
  expect(receive(session, bytesOf(publishPacket("a", "late", 1), { type: "pingreq" }))).toEqual([]);
  expect(session.tick(1e9)).toEqual([]);
  expect(session.deadlineMs).toBe(Infinity);
  expect(session.hasOutput).toBe(false);
});

test("messages before a violation in the same bytes are handed over first", () => {
  const session = openServer();
  const good = bytesOf(publishPacket("a", "1", 1), publishPacket("a", "2"));
  const effects = session.receive(new Uint8Array([...good, 0x34, 0]), 1);
  expect(effects.map((effect) => effect.type)).toEqual(["message", "message", "close"]);
});

test("every reason a peer's bytes can give has a case here", () => {
  // The others come from time, from the owner of the session, or from what a session did before.
  const elsewhere: ErrorCode[] = [
    "mqtt.disconnected",
    "mqtt.connection_lost",
    "mqtt.connect_timeout",
    "mqtt.connack_timeout",
    "mqtt.keep_alive_timeout",
    "mqtt.ping_timeout",
    "mqtt.pipeline_overflow",
  ];
  const known = Object.keys(catalog).filter((code) => code.startsWith("mqtt."));
  const covered = new Set([...cases.map(({ code }) => code), ...elsewhere]);
  expect(known.filter((code) => !covered.has(code))).toEqual([]);
});

test("every remedy for a broken rule cites it or names the document", () => {
  const broken = new Set(cases.map(({ code }) => code).filter((code) => !code.includes("refused")));
  for (const code of broken) {
    const { remedy } = catalog[code as ErrorCode];
    expect.soft(remedy, code).toMatch(/\[MQTT-[\d.-]+\]|§\d|IoT Hub/);
  }
});

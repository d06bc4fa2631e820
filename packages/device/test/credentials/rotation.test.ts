import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import { VirtualClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import type { Credential, CredentialProvider } from "@hubwire/device";
import { Rotation } from "../../src/credentials/rotation.ts";
import type { RotationEnd } from "../../src/credentials/rotation.ts";
import { Outcome } from "../support/world.ts";

const scope = { hostName: "hub", deviceId: "d" };

/** A credential that is its name. */
class Named implements CredentialProvider {
  readonly outcomes: (string | undefined)[] = [];
  closed = 0;
  attached = 0;
  failure: Error | undefined;
  readonly #name: string;
  #listener: ((why: string) => void) | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  async next(): Promise<Credential> {
    if (this.failure !== undefined) throw this.failure;
    const password = Buffer.from(this.#name);
    return { password, tls: undefined, expiresAtMs: Infinity, renewable: true };
  }

  outcome(_credential: Credential, failure: Error | undefined): void {
    this.outcomes.push(failure?.message);
  }

  onChange(listener: (why: string) => void): () => void {
    this.#listener = listener;
    return () => (this.#listener = undefined);
  }

  tell(why: string): void {
    this.#listener?.(why);
  }

  attach(): void {
    this.attached += 1;
  }

  close(): void {
    this.closed += 1;
  }
}

class Stage {
  readonly clock = new VirtualClock();
  readonly first = new Named("first");
  readonly second = new Named("second");
  readonly rotation = new Rotation(this.first);
  readonly news: string[] = [];
  readonly notices: IotError[] = [];
  /** As the client asks for it, right after an outcome. */
  standby = false;
  readonly ends: RotationEnd[] = [];

  constructor() {
    this.rotation.onChange((why) => this.news.push(why));
    this.rotation.attach({ clock: this.clock, notice: (news) => this.notices.push(news) });
  }

  readonly onRotated = (end: RotationEnd): void => void this.ends.push(end);

  offer(options: { whenConnected?: boolean } = {}): Outcome<void> {
    return new Outcome(this.rotation.offer(this.second, { ...options, onRotated: this.onRotated }));
  }

  /** One attempt to connect: who was presented, and whether on trial. */
  async attempt(code?: ErrorCode): Promise<string> {
    const { signal } = new AbortController();
    const credential = await this.rotation.next(scope, { wallMs: 0, fresh: false, signal });
    this.rotation.outcome(credential, code === undefined ? undefined : new IotError(code, code));
    this.standby = this.rotation.standby;
    await settle();
    const name = Buffer.from(credential.password ?? []).toString();
    return credential.trial === true ? `${name}, on trial` : name;
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("an offer is announced, tried once and then used; the old one is let go", async () => {
  const stage = new Stage();
  expect(await stage.attempt()).toBe("first");
  const offer = stage.offer();
  expect(stage.news).toEqual(["a new credential is to be tried"]);
  expect(await stage.attempt()).toBe("second, on trial");
  expect(offer.code).toBe("value");
  expect(stage.ends).toEqual([{ winner: "next" }]);
  expect([stage.first.closed, stage.second.closed]).toEqual([1, 0]);
  expect(await stage.attempt()).toBe("second");
  expect(stage.first.outcomes).toEqual([undefined]);
  expect(stage.second.outcomes).toEqual([undefined, undefined]);
});

test.each([
  "device.refused_not_authorized",
  "device.refused_credentials",
  "transport.client_certificate_rejected",
  "transport.tls_credentials",
] as const)("what the hub refuses with %s is dropped, and the old one goes on", async (code) => {
  const stage = new Stage();
  await stage.attempt();
  const offer = stage.offer();
  expect(await stage.attempt(code)).toBe("second, on trial");
  expect(offer.error).toMatchObject({ code: "device.rotation_refused", cause: { code } });
  expect(stage.ends).toEqual([{ winner: "current", cause: offer.error }]);
  expect([stage.first.closed, stage.second.closed]).toEqual([0, 1]);
  expect(stage.standby, "another one than the refused one is next").toBe(true);
  // When the connection in use breaks hours later, its reconnect waits as usual.
  expect(stage.rotation.standby).toBe(false);
  expect(await stage.attempt()).toBe("first");
  expect(stage.standby).toBe(false);
});

test("a trial that ends without an answer is repeated when the old one has connected, and given up at last", async () => {
  const stage = new Stage();
  await stage.attempt();
  const offer = stage.offer();
  for (let trial = 1; trial <= 5; trial += 1) {
    expect(stage.news).toHaveLength(trial);
    expect(await stage.attempt("transport.timeout")).toBe("second, on trial");
    expect(await stage.attempt()).toBe("first");
  }
  expect(offer.error).toMatchObject({ code: "device.rotation_undecided", retryable: true });
  expect(stage.ends.map(({ winner }) => winner)).toEqual(["current"]);
  expect(stage.news).toHaveLength(5);
});

test("while the old connection lives on, an unanswered trial is repeated after 5, 10, 20 and 40 seconds", async () => {
  const stage = new Stage();
  await stage.attempt();
  const offer = stage.offer();
  const times: number[] = [];
  while (!offer.isSettled) {
    await stage.attempt("transport.dns");
    const told = stage.news.length;
    if (offer.isSettled) break;
    await stage.clock.runUntil(() => stage.news.length > told);
    times.push(stage.clock.nowMs());
  }
  expect(times).toEqual([5_000, 15_000, 35_000, 75_000]);
  expect(offer.code).toBe("device.rotation_undecided");
});

test("given together: the first connects, then the second is tried", async () => {
  const stage = new Stage();
  const offer = stage.offer({ whenConnected: true });
  expect(stage.news).toEqual([]);
  expect(await stage.attempt("transport.dns")).toBe("first");
  expect(await stage.attempt()).toBe("first");
  expect(stage.news).toHaveLength(1);
  expect(await stage.attempt()).toBe("second, on trial");
  expect(offer.code).toBe("value");
});

test("given together, and the first was revoked: the second is presented next, without waiting", async () => {
  const stage = new Stage();
  const offer = stage.offer({ whenConnected: true });
  expect(await stage.attempt("device.refused_not_authorized")).toBe("first");
  expect(stage.standby).toBe(true);
  expect(await stage.attempt()).toBe("second, on trial");
  expect(offer.code).toBe("value");
});

test("given together, and both are refused: the first again, and no third wonder", async () => {
  const stage = new Stage();
  const offer = stage.offer({ whenConnected: true });
  await stage.attempt("device.refused_not_authorized");
  await stage.attempt("device.refused_not_authorized");
  expect(offer.code).toBe("device.rotation_refused");
  expect(stage.standby).toBe(true);
  expect(await stage.attempt("device.refused_not_authorized")).toBe("first");
  expect(stage.standby).toBe(false);
  expect(stage.notices).toMatchObject([{ code: "device.rotation_refused" }]);
});

test("a newer offer takes the place of one that is not decided", async () => {
  const stage = new Stage();
  const offer = stage.offer();
  const third = new Named("third");
  const newer = new Outcome(stage.rotation.offer(third));
  await settle();
  expect(offer.code).toBe("device.rotation_replaced");
  expect(stage.ends).toEqual([]);
  expect(stage.second.closed).toBe(1);
  expect(await stage.attempt()).toBe("third, on trial");
  expect(newer.code).toBe("value");
});

test("an answer to a trial whose offer was taken back changes nothing", async () => {
  const stage = new Stage();
  const offer = stage.offer();
  const { signal } = new AbortController();
  const credential = await stage.rotation.next(scope, { wallMs: 0, fresh: false, signal });
  stage.rotation.withdraw(stage.second);
  stage.rotation.outcome(credential, undefined);
  await settle();
  expect(offer.code).toBe("device.rotation_replaced");
  expect(await stage.attempt()).toBe("first");
});

test("a new credential that cannot even be made is refused, and the same attempt goes on with the old one", async () => {
  const stage = new Stage();
  stage.second.failure = new IotError("device.certificate_expired", "it has ended");
  const offer = stage.offer();
  expect(await stage.attempt()).toBe("first");
  expect(offer.error).toMatchObject({ cause: { code: "device.certificate_expired" } });
});

test("who is told of the end may fail: the new one is in use, and that it was not stored is told", async () => {
  const stage = new Stage();
  const onRotated = (): Promise<void> => Promise.reject(new Error("disk full"));
  const offer = new Outcome(stage.rotation.offer(stage.second, { onRotated }));
  await stage.attempt();
  expect(offer.code).toBe("device.rotation_unsaved");
  expect(await stage.attempt()).toBe("second");
});

test("the call waits for who stores the end", async () => {
  const stage = new Stage();
  let stored = (): void => {};
  const onRotated = (): Promise<void> => new Promise((resolve) => (stored = resolve));
  const offer = new Outcome(stage.rotation.offer(stage.second, { onRotated }));
  await stage.attempt();
  expect(offer.code).toBe("pending");
  stored();
  await settle();
  expect(offer.code).toBe("value");
});

test("changes of the credential in use are passed on, those of the other not", async () => {
  const stage = new Stage();
  stage.first.tell("a new file");
  stage.offer();
  stage.second.tell("not yet in use");
  await stage.attempt();
  stage.second.tell("in use");
  stage.first.tell("no longer");
  expect(stage.news).toEqual(["a new file", "a new credential is to be tried", "in use"]);
});

test("closing ends an offer, both credentials, and what comes later", async () => {
  const stage = new Stage();
  const offer = stage.offer();
  stage.rotation.close();
  stage.rotation.close();
  await settle();
  expect(offer.code).toBe("device.rotation_replaced");
  expect([stage.first.closed, stage.second.closed]).toEqual([1, 1]);
  const late = new Outcome(stage.rotation.offer(new Named("late")));
  await settle();
  expect(late.code).toBe("client.closed");
});

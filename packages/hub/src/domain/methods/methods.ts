import {
  IotError,
  isMethodName,
  methodConnectTimeoutSMax,
  methodConnectTimeoutSMin,
  methodPayloadBytesMax,
  methodRequestTopic,
  methodResponseTimeoutSMax,
  methodResponseTimeoutSMin,
} from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import { identityKey } from "../services.ts";
import type { Connections, Identities, IdentityRef, LiveConnection, Methods } from "../services.ts";
import { parseLossless } from "./lossless-json.ts";

/**
 * Calls to one identity that may be waiting, for its connection or its answer. The service has such a limit
 * (403800 DeviceMaximumInflightMethodExceeded) and does not document its number.
 */
export const methodsInFlightMax = 50;

/** JSON null: hand-written devices parse the body without asking whether there is one. */
const nullPayload = Uint8Array.of(0x6e, 0x75, 0x6c, 0x6c);

export type MethodsOptions = {
  identities: Pick<Identities, "find">;
  connections: Connections;
  clock: Clock;
};

type MethodCall = Parameters<Methods["invoke"]>[1];
type MethodResult = { status: number; payload: unknown };

/** A call that waits: `connection` is undefined until the device is there to be asked. */
type Waiting = {
  readonly key: string;
  readonly call: MethodCall;
  readonly rid: string;
  connection: LiveConnection | undefined;
  settle(outcome: MethodResult | IotError): void;
  /** Ends the call with `method.timeout` or `device.not_online`, unless something else comes first. */
  deadlineIn(seconds: number, error: () => IotError): void;
};

/**
 * Direct methods. A call belongs to the connection that was asked: an answer from any other connection, be it of another
 * device or of the same device after a takeover, is dropped.
 *
 * When that connection closes, the call ends at once with `method.timeout` (504101) and not with `device.not_online`
 * (404103): the request was delivered and may have been carried out, which only 504101 tells the caller.
 */
export class DirectMethods implements Methods {
  readonly #identities: Pick<Identities, "find">;
  readonly #connections: Connections;
  readonly #clock: Clock;
  readonly #byRid = new Map<string, Waiting>();
  readonly #byIdentity = new Map<string, Set<Waiting>>();
  #ridCounter = 0;

  constructor(options: MethodsOptions) {
    this.#identities = options.identities;
    this.#connections = options.connections;
    this.#clock = options.clock;
    options.connections.onSubscribed((connection, kind) => {
      if (kind === "methods") this.#deviceCame(connection);
    });
    options.connections.onClosed((connection) => this.#connectionClosed(connection));
  }

  /** Calls waiting for a connection or an answer. */
  get inFlight(): number {
    return this.#byRid.size;
  }

  async invoke(ref: IdentityRef, call: MethodCall, signal: AbortSignal): Promise<MethodResult> {
    checkCall(call);
    if (signal.aborted) throw aborted();
    if ((await this.#identities.find(ref)) === undefined) throw notFound(ref);
    return new Promise((resolve, reject) => this.#start(ref, call, signal, resolve, reject));
  }

  respond(connection: LiveConnection, rid: string, status: number, body: Uint8Array): void {
    const waiting = this.#byRid.get(rid);
    if (waiting?.connection === undefined || !isSame(waiting.connection, connection)) return;
    waiting.settle(readAnswer(status, body));
  }

  #start(
    ref: IdentityRef,
    call: MethodCall,
    signal: AbortSignal,
    resolve: (result: MethodResult) => void,
    reject: (error: IotError) => void,
  ): void {
    const key = identityKey(ref);
    const calls = this.#byIdentity.get(key) ?? new Set();
    if (signal.aborted) return reject(aborted());
    if (calls.size >= methodsInFlightMax) {
      return reject(
        new IotError(
          "method.too_many_in_flight",
          `${methodsInFlightMax} method calls to "${key}" are already waiting`,
        ),
      );
    }
    const rid = (++this.#ridCounter).toString(16);
    let timer = this.#clock.at(Infinity, () => {});
    const onAbort = (): void => waiting.settle(aborted());
    const waiting: Waiting = {
      key,
      call,
      rid,
      connection: undefined,
      settle: (outcome) => {
        if (!this.#byRid.delete(rid)) return;
        calls.delete(waiting);
        if (calls.size === 0) this.#byIdentity.delete(key);
        timer.cancel();
        signal.removeEventListener("abort", onAbort);
        if (outcome instanceof IotError) reject(outcome);
        else resolve(outcome);
      },
      deadlineIn: (seconds, error) => {
        timer.cancel();
        const atMs = this.#clock.nowMs() + seconds * 1000;
        timer = this.#clock.at(atMs, () => waiting.settle(error()));
      },
    };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#byRid.set(rid, waiting);
    this.#byIdentity.set(key, calls.add(waiting));
    const connection = this.#connections.find(ref);
    if (connection?.isSubscribed("methods") === true) this.#ask(waiting, connection);
    else if (call.connectTimeoutS === 0) waiting.settle(notOnline(waiting));
    else waiting.deadlineIn(call.connectTimeoutS, () => notOnline(waiting));
  }

  #ask(waiting: Waiting, connection: LiveConnection): void {
    const { call, rid } = waiting;
    waiting.connection = connection;
    waiting.deadlineIn(call.responseTimeoutS, () =>
      unanswered(waiting, `within ${call.responseTimeoutS} seconds`),
    );
    const payload = call.payload.length === 0 ? nullPayload : call.payload;
    connection.sendMethod(rid, call.methodName, payload);
  }

  #deviceCame(connection: LiveConnection): void {
    for (const waiting of this.#byIdentity.get(identityKey(connection.ref)) ?? []) {
      if (waiting.connection === undefined) this.#ask(waiting, connection);
    }
  }

  #connectionClosed(connection: LiveConnection): void {
    for (const waiting of this.#byIdentity.get(identityKey(connection.ref)) ?? []) {
      if (waiting.connection !== undefined && isSame(waiting.connection, connection)) {
        waiting.settle(unanswered(waiting, "before its connection closed"));
      }
    }
  }
}

/** By number, not by object: one day a connection may live in another thread. */
const isSame = (one: LiveConnection, other: LiveConnection): boolean =>
  one.connectionId === other.connectionId && identityKey(one.ref) === identityKey(other.ref);

function checkCall(call: MethodCall): void {
  checkName(call.methodName);
  checkRange(
    "responseTimeoutInSeconds",
    call.responseTimeoutS,
    methodResponseTimeoutSMin,
    methodResponseTimeoutSMax,
  );
  checkRange(
    "connectTimeoutInSeconds",
    call.connectTimeoutS,
    methodConnectTimeoutSMin,
    methodConnectTimeoutSMax,
  );
  if (call.payload.length > methodPayloadBytesMax) {
    throw new IotError(
      "message.too_large",
      `A method payload has at most ${methodPayloadBytesMax} bytes, not ${call.payload.length}`,
    );
  }
}

function checkName(name: string): void {
  try {
    if (!isMethodName(name)) throw new TypeError(name);
    // A few names that the service's rules allow cannot stand in an MQTT topic name.
    methodRequestTopic(name, "0");
  } catch (cause) {
    throw new IotError(
      "argument.invalid",
      'methodName has 1 to 128 printable ASCII characters, none of them a space or one of $()<>@,;:\\"/[]?={} or +#&',
      { cause },
    );
  }
}

function checkRange(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new IotError("argument.invalid", `${name} is a whole number from ${min} to ${max}`);
}

function readAnswer(status: number, body: Uint8Array): MethodResult | IotError {
  if ((status | 0) !== status) return badAnswer("its status is not a 32-bit integer");
  if (body.length > methodPayloadBytesMax) {
    return badAnswer(`it has ${body.length} bytes, allowed are ${methodPayloadBytesMax}`);
  }
  if (body.length === 0) return { status, payload: null };
  try {
    return { status, payload: parseLossless(body) };
  } catch {
    return badAnswer("it is not JSON");
  }
}

const badAnswer = (why: string): IotError =>
  new IotError("method.bad_response", `The device's answer cannot be passed on: ${why}`);

const notFound = ({ deviceId, moduleId }: IdentityRef): IotError =>
  moduleId === undefined
    ? new IotError("device.not_found", `Device "${deviceId}" is not registered`)
    : new IotError("module.not_found", `Device "${deviceId}" has no module "${moduleId}"`);

const notOnline = ({ call }: Waiting): IotError =>
  new IotError(
    "device.not_online",
    call.connectTimeoutS === 0
      ? "The device is not connected, or has not subscribed to methods"
      : "Timed out waiting for device to connect.",
  );

const unanswered = ({ call }: Waiting, when: string): IotError =>
  new IotError("method.timeout", `The device did not answer method "${call.methodName}" ${when}`);

const aborted = (): IotError => new IotError("call.aborted", "The method call was aborted");

import { IotError, parseJson } from "@hubwire/protocol";
import type { JsonValue } from "@hubwire/protocol";
import type { Clock, Timer } from "@hubwire/transport";

export type MethodAnswer = { status: number; payload: JsonValue };

type Call = {
  name: string;
  connection: object;
  timer: Timer;
  resolve: (answer: MethodAnswer) => void;
  reject: (error: IotError) => void;
};

/** Direct method calls to one device that wait for their answer. A call belongs to the connection that was asked. */
export class MethodCalls {
  readonly #clock: Clock;
  readonly #calls = new Map<string, Call>();
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws IotError `method.timeout`, `method.bad_response` */
  ask(
    name: string,
    timeoutMs: number,
    connection: object,
    send: (rid: string) => void,
  ): Promise<MethodAnswer> {
    const rid = (++this.#count).toString(16);
    return new Promise((resolve, reject) => {
      const timer = this.#clock.at(this.#clock.nowMs() + timeoutMs, () =>
        this.#fail(rid, `within ${timeoutMs} ms`),
      );
      this.#calls.set(rid, { name, connection, timer, resolve, reject });
      send(rid);
    });
  }

  answered(rid: string, status: number, body: Uint8Array, connection: object): void {
    const call = this.#calls.get(rid);
    if (call === undefined || call.connection !== connection) return;
    this.#calls.delete(rid);
    call.timer.cancel();
    try {
      call.resolve({ status, payload: body.length === 0 ? null : parseJson(body) });
    } catch (cause) {
      const text = `The answer to method ${call.name} is no JSON`;
      call.reject(new IotError("method.bad_response", text, { cause }));
    }
  }

  disconnected(connection: object): void {
    for (const [rid, call] of this.#calls) {
      if (call.connection === connection) this.#fail(rid, "before its connection closed");
    }
  }

  #fail(rid: string, when: string): void {
    const call = this.#calls.get(rid);
    if (call === undefined) return;
    this.#calls.delete(rid);
    call.timer.cancel();
    call.reject(
      new IotError("method.timeout", `The device did not answer method ${call.name} ${when}`),
    );
  }
}

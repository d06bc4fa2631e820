import type { Socket } from "node:net";
import { IotError } from "@hubwire/protocol";
import { socketStep } from "../dial-attempt.ts";
import type { DialAttempt } from "../dial-attempt.ts";
import { wordsOf } from "../socket-errors.ts";

/** What a proxy's answer calls for: more bytes of it, something to write, or nothing more because the tunnel stands. */
export type TalkStep = { type: "wait" } | { type: "write"; bytes: Uint8Array } | { type: "open" };

/** One side of a proxy's handshake, without a socket: bytes in, steps out. */
export interface ProxyTalk {
  /** What is said first. */
  hello(): Uint8Array;
  /** @throws IotError `transport.proxy_auth`, `transport.proxy_refused`, `transport.proxy_protocol` */
  receive(bytes: Uint8Array): TalkStep;
}

/** Has the talk with the proxy on a connected socket, which is then the tunnel. `who` is the proxy's name in messages. */
export function runTalk(
  socket: Socket,
  talk: ProxyTalk,
  attempt: DialAttempt,
  who: string,
): Promise<void> {
  const refused = (why: string, cause?: Error): IotError =>
    new IotError("transport.proxy_refused", `the ${who} ${why}`, cause && { cause });
  const errorOf = (error: Error): Error =>
    refused(`cut the connection during its handshake: ${wordsOf(error)}`, error);
  return socketStep<undefined>(socket, attempt.signal, errorOf, (resolve, reject) => {
    const onReadable = (): void => {
      // Not "data": the bytes behind the handshake are TLS's own to read.
      for (let bytes = read(socket); bytes !== null; bytes = read(socket)) {
        try {
          const step = talk.receive(bytes);
          if (step.type === "write") socket.write(step.bytes);
          if (step.type === "open") return resolve(undefined);
        } catch (error) {
          return reject(error as Error);
        }
      }
    };
    const onEnd = (): void => reject(refused("closed the connection instead of answering"));
    socket.on("readable", onReadable).on("end", onEnd).on("close", onEnd);
    socket.write(talk.hello());
    return () =>
      socket
        .removeListener("readable", onReadable)
        .removeListener("end", onEnd)
        .removeListener("close", onEnd);
  }).then(() => undefined);
}

const read = (socket: Socket): Uint8Array | null => socket.read() as Uint8Array | null;

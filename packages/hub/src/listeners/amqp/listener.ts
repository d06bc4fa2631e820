import { IotError } from "@hubwire/protocol";
import type { ByteStream } from "@hubwire/transport";
import { AmqpConnection } from "./connection.ts";
import { PartitionReaders } from "./events/partition-readers.ts";
import { Waiters } from "./events/waiters.ts";
import { defaultAmqpLimits } from "./limits.ts";
import type { AmqpLimits } from "./limits.ts";
import type { AmqpParts } from "./parts.ts";

export type AmqpListenerOptions = Omit<AmqpParts, "limits" | "readers" | "waiters"> & {
  limits?: Partial<AmqpLimits>;
};

export type AmqpListener = {
  /** Takes over a stream that speaks AMQP 1.0: TLS, WebSocket, plain on loopback, or memory in tests. */
  handleStream(stream: ByteStream): void;
  /** Connections that are open. */
  readonly connections: number;
  /** Takes no new stream, closes every connection with `amqp:connection:forced`, and waits for the peers a moment. */
  stop(): Promise<void>;
};

export function createAmqpListener(options: AmqpListenerOptions): AmqpListener {
  const limits = { ...defaultAmqpLimits, ...options.limits };
  const readers = new PartitionReaders();
  const waiters = new Waiters(options.log);
  const parts: AmqpParts = { ...options, limits, readers, waiters };
  const unsubscribe = options.consumerGroups.onDeleted((name) => readers.endGroup(name));
  const connections = new Set<AmqpConnection>();
  let stopped: Promise<void> | undefined;
  let onEmpty: (() => void) | undefined;

  const stop = async (): Promise<void> => {
    unsubscribe();
    for (const connection of connections) {
      connection.stop(new IotError("hub.stopping", "The hub is stopping"));
    }
    await new Promise<void>((resolve) => {
      if (connections.size === 0) return resolve();
      const { clock } = options;
      const timer = clock.at(clock.nowMs() + limits.stopTimeoutMs, resolve);
      onEmpty = () => {
        timer.cancel();
        resolve();
      };
    });
    waiters.close();
  };

  return {
    handleStream(stream) {
      if (stopped !== undefined || connections.size >= limits.connectionsMax) {
        return stream.destroy();
      }
      const connection: AmqpConnection = new AmqpConnection(parts, stream, () => {
        connections.delete(connection);
        if (connections.size === 0) onEmpty?.();
      });
      connections.add(connection);
      connection.start();
    },
    get connections() {
      return connections.size;
    },
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}

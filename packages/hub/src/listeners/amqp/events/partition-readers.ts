import { IotError } from "@hubwire/protocol";

/** Azure Event Hubs quotas: readers without owner level of one partition in one consumer group. */
const sharedReadersMax = 5;

export type PartitionReader = {
  /** `com.microsoft:epoch`, the SDKs' ownerLevel; undefined shares the partition. */
  epoch: number | undefined;
  /** Another reader took the partition. */
  steal(error: IotError): void;
  /** Its consumer group is gone. */
  end(error: IotError): void;
};

/**
 * Who reads which partition in which consumer group. A reader with an owner level is alone: it takes the partition from
 * readers with a lower or the same level and from those without, and those with less are refused while it is there
 * (Azure Event Hubs docs, "epoch").
 */
export class PartitionReaders {
  readonly #byPlace = new Map<string, Set<PartitionReader>>();

  /** @throws IotError `amqp.receiver_stolen`, `amqp.limit` */
  enter(group: string, partition: number, reader: PartitionReader): () => void {
    const place = `${group.toLowerCase()}/${partition}`;
    const readers = this.#byPlace.get(place) ?? new Set();
    const highest = Math.max(-1, ...[...readers].map(({ epoch }) => epoch ?? -1));
    if (highest > (reader.epoch ?? -1)) {
      throw new IotError(
        "amqp.receiver_stolen",
        `A reader with owner level ${highest} has the partition; this one has ${reader.epoch ?? "none"}`,
      );
    }
    if (reader.epoch === undefined && readers.size >= sharedReadersMax) {
      throw new IotError(
        "amqp.limit",
        `Exceeded the maximum number of allowed receivers per partition in a consumer group which is ${sharedReadersMax}`,
      );
    }
    if (reader.epoch !== undefined) {
      const level = reader.epoch;
      for (const other of readers) {
        readers.delete(other);
        other.steal(
          new IotError(
            "amqp.receiver_stolen",
            `New receiver with epoch ${level} took the partition`,
          ),
        );
      }
    }
    readers.add(reader);
    this.#byPlace.set(place, readers);
    return () => {
      readers.delete(reader);
      if (readers.size === 0 && this.#byPlace.get(place) === readers) this.#byPlace.delete(place);
    };
  }

  /** A consumer group was deleted. */
  endGroup(group: string): void {
    const prefix = `${group.toLowerCase()}/`;
    const error = new IotError("events.consumer_group_unknown", "The consumer group was deleted");
    for (const [place, readers] of this.#byPlace) {
      if (!place.startsWith(prefix)) continue;
      for (const reader of readers) reader.end(error);
    }
  }
}

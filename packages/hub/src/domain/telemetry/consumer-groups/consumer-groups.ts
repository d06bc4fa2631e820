import { IotError } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type { DocumentStore } from "../../ports.ts";

/** Every endpoint has it, and it cannot be deleted. */
export const defaultConsumerGroup = "$Default";
/** Azure Event Hubs quotas, standard tier: beside `$Default`. */
const groupsMax = 20;
const KEY = "consumerGroups";
/** Azure Event Hubs naming rules: letters, digits, `.`, `-`, `_`, begins and ends with a letter or digit. */
const nameRule = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,48}[A-Za-z0-9])?$/;

export type ConsumerGroup = { name: string; createdAtMs: number };

/** The consumer groups of the built-in endpoint. Names ignore case and keep the spelling they were created with. */
export interface ConsumerGroups {
  /** `$Default` first, then by name. */
  list(): readonly ConsumerGroup[];
  /** The group by any spelling of its name. */
  find(name: string): ConsumerGroup | undefined;
  /**
   * Creates it, or finds it there already.
   * @throws IotError `argument.invalid`, `events.consumer_groups_full`, `store.unavailable`
   */
  create(name: string): Promise<{ group: ConsumerGroup; isNew: boolean }>;
  /** @throws IotError `events.consumer_group_unknown`, `argument.invalid` for `$Default` */
  delete(name: string): Promise<void>;
  /** Readers of a deleted group lose their links. */
  onDeleted(listener: (name: string) => void): () => void;
}

type Stored = { groups: ConsumerGroup[] };

/** Reads the groups once; every later change goes through here. */
export async function createConsumerGroups(options: {
  documents: DocumentStore;
  clock: Pick<Clock, "wallMs">;
}): Promise<ConsumerGroups> {
  const { documents, clock } = options;
  const createdAtMs = clock.wallMs();
  const found = await documents.get("hub", KEY);
  let groups: readonly ConsumerGroup[] = (found?.value as Stored | undefined)?.groups ?? [];
  let last: Promise<unknown> = Promise.resolve();
  const listeners = new Set<(name: string) => void>();
  const sameName = (name: string) => (group: ConsumerGroup) =>
    group.name.toLowerCase() === name.toLowerCase();
  const all = (): ConsumerGroup[] => [{ name: defaultConsumerGroup, createdAtMs }, ...groups];

  /** One change after the other: the document is read and written whole. */
  const change = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  };
  const store = async (next: readonly ConsumerGroup[]): Promise<void> => {
    await documents.put("hub", KEY, { groups: next }, "any");
    groups = next;
  };

  return {
    list: all,
    find: (name) => all().find(sameName(name)),
    create: (name) =>
      change(async () => {
        const existing = all().find(sameName(name));
        if (existing !== undefined) return { group: existing, isNew: false };
        if (!nameRule.test(name)) {
          throw new IotError(
            "argument.invalid",
            "A consumer group's name has 1 to 50 letters, digits, dots, hyphens and underscores, a letter or digit first and last",
          );
        }
        if (groups.length >= groupsMax) {
          throw new IotError(
            "events.consumer_groups_full",
            `There are ${groupsMax} groups already`,
          );
        }
        const group = { name, createdAtMs: clock.wallMs() };
        const byName = (a: ConsumerGroup, b: ConsumerGroup): number => (a.name < b.name ? -1 : 1);
        await store([...groups, group].toSorted(byName));
        return { group, isNew: true };
      }),
    delete: (name) =>
      change(async () => {
        if (name.toLowerCase() === defaultConsumerGroup.toLowerCase()) {
          throw new IotError("argument.invalid", `${defaultConsumerGroup} cannot be deleted`);
        }
        const group = groups.find(sameName(name));
        if (group === undefined) {
          throw new IotError(
            "events.consumer_group_unknown",
            `There is no group ${JSON.stringify(name)}`,
          );
        }
        await store(groups.filter((other) => other !== group));
        for (const listener of listeners) listener(group.name);
      }),
    onDeleted(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

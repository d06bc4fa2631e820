import type { Packet } from "mqtt-packet";
import type { C2dMessage } from "../../src/domain/services.ts";
import type { RawClient } from "./raw-client.ts";
import { c2dFilter, subscribe } from "./world.ts";
import type { World } from "./world.ts";

export const message = (body: string, rest: Partial<C2dMessage> = {}): C2dMessage => ({
  properties: { system: {}, application: {} },
  ack: undefined,
  expiresAtMs: undefined,
  body: Buffer.from(body),
  ...rest,
});

export const send = (world: World, ...bodies: string[]): Promise<unknown> =>
  world.during(Promise.all(bodies.map((body) => world.c2d.service.send("dev1", message(body)))));

export type Delivered = { body: string; id: number | undefined; dup: boolean; qos: number };
/** What the device got since the last look. */
export function delivered(device: RawClient): Delivered[] {
  return device.received.splice(0).flatMap((packet: Packet) =>
    packet.cmd === "publish"
      ? [
          {
            body: packet.payload.toString(),
            id: packet.messageId,
            dup: packet.dup,
            qos: packet.qos,
          },
        ]
      : [],
  );
}
export const bodiesOf = (device: RawClient): string[] => delivered(device).map(({ body }) => body);
export const count = (world: World): Promise<number> =>
  world.during(world.c2d.service.count("dev1"));

export async function subscribed(world: World, clean = false): Promise<RawClient> {
  const device = await world.online({ clean });
  await device.send(subscribe(1, [c2dFilter, 1]));
  device.expect({ cmd: "suback", granted: [1] });
  return device;
}

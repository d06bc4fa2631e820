import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { startHub } from "@hubwire/hub";
import { IotError } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { waysOut, withWaysOut } from "../../src/ports.ts";

test("a port that may not be bound is told with every way out, for this very Node", () => {
  const error = new IotError("hub.port_not_permitted", "cannot listen on 127.0.0.1:443: EACCES");
  const told = withWaysOut(error, 443) as IotError;
  expect(told.code).toBe("hub.port_not_permitted");
  expect(told.message).toContain(`setcap cap_net_bind_service=+ep ${process.execPath};`);
  expect(told.message).toContain("sysctl net.ipv4.ip_unprivileged_port_start=443;");
  expect(told.message).toContain("--dport 443 -j REDIRECT --to-ports 8443.");
  expect(waysOut(error, 853)).toContain("--to-ports 10853");
});

test("other errors stay as they are", () => {
  const error = new IotError("hub.address_unavailable", "no such address");
  expect(withWaysOut(error, 443)).toBe(error);
  const unknown = new Error("whatever");
  expect(withWaysOut(unknown, 443)).toBe(unknown);
});

test.each(["mqttPort", "httpsPort", "amqpPort", "amqpPlainPort"] as const)(
  "a taken %s says how to find who has it",
  async (name) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const starting = startHub({ [name]: port, logLevel: "silent" });
    await expect(starting).rejects.toMatchObject({
      code: "hub.port_in_use",
      message: expect.stringContaining(`ss -ltnp "sport = :${port}"`) as unknown,
    });
    server.close();
  },
);

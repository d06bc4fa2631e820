import tls from "node:tls";
import { tlsDialer } from "@hubwire/transport";
import { expect, test, vi } from "vitest";
import { certificates, cleanUp, noSignal, startServer } from "./tls-world.ts";

const ca = certificates.root.cert;

test("clients that trust the same hold the system's roots once between them", () => {
  const made = vi.spyOn(tls, "createSecureContext");
  try {
    tlsDialer({ ca });
    const first = made.mock.calls.length;
    for (let i = 0; i < 20; i += 1) tlsDialer({ ca });
    expect(made.mock.calls.length).toBe(first);
    tlsDialer({ ca, minVersion: "TLSv1.3" });
    expect(made.mock.calls.length).toBe(first + 1);
  } finally {
    made.mockRestore();
  }
});

test("what one client trusts in addition no other one does", async () => {
  const { port } = await startServer();
  const target = { host: "localhost", port, identity: undefined };
  cleanUp(await tlsDialer({ ca })(target, noSignal));
  const stranger = tlsDialer({})(target, noSignal);
  await expect(stranger).rejects.toMatchObject({ code: "transport.tls_untrusted" });
  const { cert } = await certificates.ca({ cn: "Other CA" });
  const other = tlsDialer({ ca: cert })(target, noSignal);
  await expect(other).rejects.toMatchObject({ code: "transport.tls_untrusted" });
  cleanUp(await tlsDialer({ ca })(target, noSignal));
});

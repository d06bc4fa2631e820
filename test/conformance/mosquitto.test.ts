import { expect, test } from "vitest";
import { runInNamespace } from "../support/namespace.ts";

type Ran = { code: number | null; stderr: string };
type Message = { topic: string; qos: number; body: string };
type Stored = { body: string; system: object; application: object; authMethod: string };
type Seen = {
  telemetry: [Ran & Stored, Ran & Stored];
  c2d: {
    subscribed: Ran;
    queued: number;
    waited: Message;
    live: Message;
    code: number;
    left: number;
  };
  will: { body: string; application: object };
  refused: Ran & { lines: object[] };
};

// Source of the refusals' words and exit codes: mosquitto_pub 2.0, which exits with the CONNACK return code.
test.each([
  ["a key", "key", "sas", "auth.token_signature"],
  ["a certificate", "x509", "x509", "auth.certificate_missing"],
])(
  "mosquitto_pub and mosquitto_sub are a device with %s: telemetry, C2D, a will, a refusal",
  async (_name, auth, authMethod, failedCheck) => {
    const result = await runInNamespace("test/conformance/mosquitto.scenario.ts", {
      env: { MOSQUITTO_AUTH: auth },
      timeoutMs: 60_000,
    });
    expect(result.code, `${result.stderr}\n${result.stdout}`).toBe(0);
    const { telemetry, c2d, will, refused } = JSON.parse(result.stdout) as Seen;

    for (const [qos, messageId] of ["first", "second"].entries()) {
      expect(telemetry[qos]).toEqual({
        code: 0,
        stderr: "",
        body: `{"qos":${qos}}`,
        system: { messageId, contentType: "application/json" },
        application: { note: "a&b ü" },
        authMethod,
      });
    }

    expect(c2d.subscribed, c2d.subscribed.stderr).toMatchObject({ code: 0 });
    expect(c2d.queued).toBe(1);
    expect(c2d.waited).toMatchObject({ qos: 1, body: "open the window" });
    expect(c2d.waited.topic).toMatch(/^devices\/mydevice\/messages\/devicebound\/%24\./u);
    expect(c2d.waited.topic).toContain("urgency=high");
    expect(c2d.live).toMatchObject({ qos: 1, body: "close it" });
    expect(c2d.code).toBe(0);
    expect(c2d.left).toBe(0);

    expect(will).toEqual({
      body: "goodbye",
      application: { reason: "gone", "iothub-MessageType": "Will" },
    });

    expect(refused.code).toBe(5);
    expect(refused.stderr).toContain("Connection Refused: not authorised");
    expect(refused.lines).toEqual([{ event: "connect_refused", code: failedCheck }]);
  },
);

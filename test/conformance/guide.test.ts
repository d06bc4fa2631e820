import { expect, test } from "vitest";
import { runInNamespace } from "../support/namespace.ts";

type Line = { topic: string; body: string };
type Seen = {
  connected: { rc: number };
  subscribed: { granted: number[] };
  telemetry: {
    body: string;
    properties: Record<string, string>;
    deviceId: string;
    authMethod: { type: string; scope: string };
  };
  c2d: Line;
  method: { status: number; payload: unknown };
  reported: Line;
  twin: Line;
  desired: Line;
  exitCode: number;
  waiting: number;
};

test.each([
  ["its SAS recipe, configuration, TLS and connection", "key", "sas"],
  ["its X.509 connection", "x509", "x509"],
])("the connection guide works as it stands: %s", async (_name, auth, type) => {
  const result = await runInNamespace("test/conformance/guide.scenario.ts", {
    env: { GUIDE_AUTH: auth },
    timeoutMs: 60_000,
  });
  expect(result.code, `${result.stderr}\n${result.stdout}`).toBe(0);
  const seen = JSON.parse(result.stdout) as Seen;

  expect(seen.connected.rc).toBe(0);
  expect(seen.subscribed.granted).toEqual([1, 0, 0, 0]);
  expect(seen.telemetry).toMatchObject({
    body: '{"temperature": 21.5}',
    properties: { key1: "value1", key2: "value2" },
    deviceId: "mydevice",
    authMethod: { type, scope: "device" },
  });
  expect(seen.c2d.body).toBe("open the window");
  expect(seen.c2d.topic).toMatch(/^devices\/mydevice\/messages\/devicebound\/%24\./u);
  expect(seen.c2d.topic).toContain("urgency=high");
  expect(seen.method).toEqual({ status: 200, payload: { echo: { delay: 5 } } });
  expect(seen.reported.topic).toBe("$iothub/twin/res/204/?$rid=2&$version=2");
  expect(seen.twin.topic).toBe("$iothub/twin/res/200/?$rid=1");
  expect(JSON.parse(seen.twin.body)).toEqual({
    desired: { $version: 1 },
    reported: { firmware: "1.0", $version: 2 },
  });
  expect(seen.desired.topic).toBe("$iothub/twin/PATCH/properties/desired/?$version=2");
  expect(JSON.parse(seen.desired.body)).toEqual({ intervalS: 5, $version: 2 });
  expect(seen.exitCode).toBe(0);
  expect(seen.waiting).toBe(0);
});

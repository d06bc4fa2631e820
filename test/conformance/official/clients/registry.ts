import { match, ok } from "node:assert";
import iothub from "azure-iothub";
import { Checks, given, refusal, report } from "../checks.ts";
import { partsOf } from "./back-end.ts";
import { equal } from "./equal.ts";

const { DigitalTwinClient, IoTHubTokenCredentials, JobClient, Registry, SharedAccessSignature } =
  iothub;
const checks = new Checks("registry", "REST");
const owner = given().service["iothubowner"] ?? "";
const registry = Registry.fromConnectionString(owner);
const anyKey = /^[A-Za-z0-9+/]{43}=$/u;
const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?$/u;
/** What .NET calls no time at all. */
const never = "0001-01-01T00:00:00";

type Answer = Record<string, unknown>;
/** A plain copy, members that differ from run to run checked and replaced. */
function plain(value: unknown, replaced: Record<string, RegExp> = {}): Answer {
  const copy = JSON.parse(JSON.stringify(value)) as Answer;
  for (const [name, pattern] of Object.entries(replaced)) {
    match(String(copy[name]), pattern, name);
    copy[name] = name;
  }
  return copy;
}
const etag = /^"?[A-Za-z0-9+/=]+"?$/u;
const identityNoise = { etag, generationId: /^\d+$/u };
async function refused(name: string, call: () => unknown, message?: RegExp): Promise<void> {
  const error = await refusal(call);
  equal(error.name, name);
  if (message !== undefined) match(error.message, message);
}

await checks.does("Registry.fromConnectionString", () => ok(registry instanceof Registry));
await checks.does("Registry.fromSharedAccessSignature", async () => {
  const { HostName = "", SharedAccessKeyName = "", SharedAccessKey = "" } = partsOf(owner);
  const soon = Math.floor(Date.now() / 1000) + 3600;
  const signature = SharedAccessSignature.create(
    HostName,
    SharedAccessKeyName,
    SharedAccessKey,
    soon,
  );
  const other = Registry.fromSharedAccessSignature(signature.toString());
  equal((await other.list()).responseBody, []);
});
await checks.does("Registry.fromTokenCredential", async () => {
  const getToken = async () => ({ token: "none", expiresOnTimestamp: Date.now() + 3_600_000 });
  await Registry.fromTokenCredential("localhost", { getToken }).list();
});

await checks.does("Registry.create", async () => {
  const { responseBody, httpResponse } = await registry.create({
    deviceId: "d1",
    statusReason: "new",
  });
  equal(httpResponse.statusCode, 200);
  const { authentication, ...rest } = plain(responseBody, identityNoise);
  const { symmetricKey, ...otherAuthentication } = authentication as { symmetricKey: Answer };
  match(String(symmetricKey["primaryKey"]), anyKey);
  match(String(symmetricKey["secondaryKey"]), anyKey);
  equal(otherAuthentication, {
    type: "sas",
    x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
  });
  equal(rest, {
    deviceId: "d1",
    generationId: "generationId",
    etag: "etag",
    status: "enabled",
    statusReason: "new",
    statusUpdatedTime: never,
    connectionState: "Disconnected",
    connectionStateUpdatedTime: never,
    lastActivityTime: never,
    cloudToDeviceMessageCount: 0,
    capabilities: { iotEdge: false },
  });
});
await checks.does("Registry.create: a device that is there", () =>
  refused("DeviceAlreadyExistsError", () => registry.create({ deviceId: "d1" })),
);
await checks.does("Registry.create: an id that is none", () =>
  refused("ArgumentError", () => registry.create({ deviceId: "a b" })),
);
await checks.does("Registry.create: own certificate", async () => {
  const primaryThumbprint = "A".repeat(40);
  const authentication = { x509Thumbprint: { primaryThumbprint, secondaryThumbprint: null } };
  const { responseBody } = await registry.create({ deviceId: "own", authentication });
  equal(plain(responseBody.authentication), {
    symmetricKey: { primaryKey: null, secondaryKey: null },
    type: "selfSigned",
    x509Thumbprint: { primaryThumbprint, secondaryThumbprint: null },
  });
});
await checks.does("Registry.create: CA", async () => {
  const authentication = { type: "certificateAuthority" };
  const { responseBody } = await registry.create({ deviceId: "ca", authentication });
  equal(plain(responseBody.authentication), {
    symmetricKey: { primaryKey: null, secondaryKey: null },
    type: "certificateAuthority",
    x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
  });
});
await checks.does("Registry.get", async () => {
  const { responseBody } = await registry.get("d1");
  equal([responseBody.deviceId, typeof responseBody.cloudToDeviceMessageCount], ["d1", "number"]);
});
await checks.does("Registry.get: a device that is not there", async () => {
  const error = await refusal(() => registry.get("nobody"));
  equal([error.name, error["response"] === undefined], ["DeviceNotFoundError", false]);
});
await checks.does("Registry.get: a policy without the right", () =>
  refused("UnauthorizedError", () =>
    Registry.fromConnectionString(given().service["service"] ?? "").get("d1"),
  ),
);
await checks.does("Registry.get: a wrong key", () =>
  refused("UnauthorizedError", () =>
    Registry.fromConnectionString(owner.replace(/SharedAccessKey=.*/u, "SharedAccessKey=YWJj")).get(
      "d1",
    ),
  ),
);
await checks.does("Registry.update", async () => {
  const { responseBody } = await registry.update({
    deviceId: "d1",
    status: "disabled",
    statusReason: "old",
  });
  equal([responseBody.status, responseBody.statusReason], ["disabled", "old"]);
  match(String(responseBody.statusUpdatedTime), isoTime);
  await refused("DeviceNotFoundError", () => registry.update({ deviceId: "nobody" }));
});
await checks.does("Registry.list", async () => {
  const { responseBody } = await registry.list();
  equal(responseBody.map(({ deviceId }) => deviceId).toSorted(), ["ca", "d1", "own"]);
});
await checks.does("Registry.delete", async () => {
  equal((await registry.delete("own")).httpResponse.statusCode, 204);
  await refused("DeviceNotFoundError", () => registry.delete("own"));
});
const wentWell = { isSuccessful: true, errors: [], warnings: [] };
await checks.does("Registry.addDevices", async () => {
  const { responseBody } = await registry.addDevices([{ deviceId: "b1" }, { deviceId: "b2" }]);
  equal(plain(responseBody), wentWell);
  await refused(
    "ArgumentError",
    () => registry.addDevices([{ deviceId: "b1" }]),
    /DeviceAlreadyExists/,
  );
});
await checks.does("Registry.updateDevices", async () => {
  const { responseBody: b1 } = await registry.get("b1");
  const changed = { deviceId: "b1", status: "disabled" as const, etag: b1.etag };
  equal(plain((await registry.updateDevices([changed], false)).responseBody), wentWell);
  await refused("ArgumentError", () => registry.updateDevices([changed], false));
  equal(plain((await registry.updateDevices([changed], true)).responseBody), wentWell);
});
await checks.does("Registry.removeDevices", async () => {
  await refused("ArgumentError", () =>
    registry.removeDevices([{ deviceId: "b1", etag: "AAAAAAAAAAk=" }], false),
  );
  const { responseBody } = await registry.removeDevices(
    [{ deviceId: "b1" }, { deviceId: "b2" }],
    true,
  );
  equal(plain(responseBody), wentWell);
});
await checks.does("Registry.getRegistryStatistics", async () => {
  const { responseBody } = await registry.getRegistryStatistics();
  equal(plain(responseBody), {
    totalDeviceCount: 2,
    enabledDeviceCount: 1,
    disabledDeviceCount: 1,
  });
});

await checks.does("Registry.addModule", async () => {
  const { responseBody } = await registry.addModule({ deviceId: "d1", moduleId: "m1" } as never);
  equal([responseBody.deviceId, responseBody.moduleId], ["d1", "m1"]);
});
await checks.does("Registry.getModule", async () => {
  const { responseBody } = await registry.getModule("d1", "m1");
  const { authentication, ...rest } = plain(responseBody, identityNoise);
  match(
    (authentication as { symmetricKey: { primaryKey: string } }).symmetricKey.primaryKey,
    anyKey,
  );
  equal(rest, {
    deviceId: "d1",
    moduleId: "m1",
    managedBy: null,
    generationId: "generationId",
    etag: "etag",
    connectionState: "Disconnected",
    connectionStateUpdatedTime: never,
    lastActivityTime: never,
    cloudToDeviceMessageCount: 0,
  });
  await refused("Error", () => registry.getModule("d1", "nobody"), /Not found/);
});
await checks.does("Registry.updateModule", async () => {
  const { responseBody: m1 } = await registry.getModule("d1", "m1");
  await registry.updateModule({ ...m1, managedBy: "me" }, true);
  await refused("InvalidEtagError", () =>
    registry.updateModule({ ...m1, managedBy: "you" }, false),
  );
});
await checks.does("Registry.getModulesOnDevice", async () => {
  const { responseBody } = await registry.getModulesOnDevice("d1");
  equal(
    responseBody.map(({ moduleId, managedBy }) => [moduleId, managedBy]),
    [["m1", "me"]],
  );
});
const metadata = (value: unknown): void => {
  match(String((value as Answer)["$lastUpdated"]), isoTime);
};
await checks.does("Registry.getTwin", async () => {
  const { responseBody } = await registry.getTwin("d1");
  const { properties, ...rest } = plain(responseBody, {
    etag,
    deviceEtag: etag,
    statusUpdateTime: isoTime,
  });
  const { desired, reported } = properties as { desired: Answer; reported: Answer };
  metadata(desired["$metadata"]);
  metadata(reported["$metadata"]);
  equal([desired["$version"], reported["$version"]], [1, 1]);
  equal(rest, {
    deviceId: "d1",
    etag: "etag",
    deviceEtag: "deviceEtag",
    status: "disabled",
    statusReason: "old",
    statusUpdateTime: "statusUpdateTime",
    connectionState: "Disconnected",
    lastActivityTime: `${never}Z`,
    cloudToDeviceMessageCount: 0,
    authenticationType: "sas",
    x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
    modelId: "",
    version: 2,
    tags: {},
    capabilities: { iotEdge: false },
  });
});
await checks.does("Registry.getTwin: a device that is not there", () =>
  refused("DeviceNotFoundError", () => registry.getTwin("nobody")),
);
await checks.does("Registry.updateTwin", async () => {
  const desired = { a: { b: 1, c: "é", list: [1, null, { d: true }] } };
  const patch = { tags: { site: "north" }, properties: { desired } };
  const { responseBody } = await registry.updateTwin("d1", patch, "*");
  const { $metadata, $version, ...rest } = responseBody.properties.desired;
  equal([rest, $version, responseBody.tags], [desired, 2, { site: "north" }]);
  metadata($metadata.a.b);
  equal($metadata.a.b.$lastUpdatedVersion, 2);
});
await checks.does("Registry.updateTwin: a stale etag", () =>
  refused("InvalidEtagError", () => registry.updateTwin("d1", { tags: {} }, "AAAAAAAAAAE=")),
);
await checks.does("Registry.updateTwin: desired properties emptied", async () => {
  const { responseBody } = await registry.updateTwin("d1", { properties: { desired: null } }, "*");
  equal(Object.keys(responseBody.properties.desired), ["$metadata", "$version"]);
});
await checks.does("Registry.getModuleTwin", async () => {
  const { responseBody } = await registry.getModuleTwin("d1", "m1");
  equal([responseBody.deviceId, responseBody.moduleId], ["d1", "m1"]);
});
await checks.does("Registry.updateModuleTwin", async () => {
  const { responseBody } = await registry.updateModuleTwin("d1", "m1", { tags: { m: 1 } }, "*");
  equal([responseBody.moduleId, responseBody.tags], ["m1", { m: 1 }]);
});
await checks.does("Twin.get", async () => {
  const { responseBody: twin } = await registry.getTwin("d1");
  await registry.updateTwin("d1", { tags: { site: "south" } }, "*");
  equal((await twin.get()).result?.tags, { site: "south" });
});
await checks.does("Twin.update", async () => {
  const { responseBody: twin } = await registry.getTwin("d1");
  const { result } = await twin.update({ tags: { site: null, floor: 2 } });
  equal(result?.tags, { floor: 2 });
  await registry.updateTwin("d1", { tags: { other: 1 } }, "*");
  await refused("InvalidEtagError", () => twin.update({ tags: {} }));
});
await checks.does("Twin.toJSON", async () => {
  const { responseBody: twin } = await registry.getTwin("d1");
  const { deviceId, tags } = twin.toJSON() as Answer;
  equal([deviceId, tags], ["d1", { floor: 2, other: 1 }]);
});

await registry.addDevices(Array.from({ length: 5 }, (_, i) => ({ deviceId: `q${i}` })));
await checks.does("Registry.createQuery", async () => {
  const query = registry.createQuery("SELECT deviceId FROM devices WHERE tags.floor = 2");
  equal((await query.next()).result, [{ deviceId: "d1" }]);
  equal(query.hasMoreResults, false);
  const counted = registry.createQuery(
    "SELECT status, COUNT() AS number FROM devices GROUP BY status",
  );
  const groups = (await counted.next()).result as { status: string; number: number }[];
  equal(
    groups.toSorted((a, b) => (a.status < b.status ? -1 : 1)),
    [
      { status: "disabled", number: 1 },
      { status: "enabled", number: 6 },
    ],
  );
  const modules = registry.createQuery("SELECT moduleId FROM devices.modules");
  equal((await modules.next()).result, [{ moduleId: "m1" }]);
});
await checks.does("Registry.createQuery: text that is no query", () =>
  refused("ArgumentError", () => registry.createQuery("SELECT FROM").next()),
);
await checks.does("Query.next", async () => {
  const query = registry.createQuery("SELECT deviceId FROM devices", 3);
  const pages: number[] = [];
  while (query.hasMoreResults) {
    // The promise form forgets its token.
    const { result } = await query.next(query.continuationToken);
    pages.push((result as unknown[]).length);
  }
  equal(pages, [3, 3, 1]);
});
await checks.does("Query.nextAsTwin", async () => {
  const query = registry.createQuery("SELECT * FROM devices WHERE deviceId = 'd1'");
  const { result } = (await query.nextAsTwin()) as unknown as { result: iothub.Twin[] };
  equal(
    result.map((twin) => [twin.constructor.name, twin.deviceId]),
    [["Twin", "d1"]],
  );
});

await checks.does("Registry.removeModule", async () => {
  await registry.removeModule("d1", "m1");
  equal((await registry.getModulesOnDevice("d1")).responseBody, []);
  await refused("Error", () => registry.removeModule("d1", "m1"), /Not found/u);
});

const container = "https://example.net/container";
await checks.does("Registry.importDevicesFromBlob", () =>
  registry.importDevicesFromBlob(container, container),
);
await checks.does("Registry.importDevicesFromBlobByIdentity", () =>
  registry.importDevicesFromBlobByIdentity(container, container),
);
await checks.does("Registry.exportDevicesToBlob", () =>
  registry.exportDevicesToBlob(container, true),
);
await checks.does("Registry.exportDevicesToBlobByIdentity", () =>
  registry.exportDevicesToBlobByIdentity(container, true),
);
await checks.does("Registry.listJobs", () => registry.listJobs());
await checks.does("Registry.getJob", () => registry.getJob("j1"));
await checks.does("Registry.cancelJob", () => registry.cancelJob("j1"));

const configuration = {
  id: "c1",
  schemaVersion: "1.0",
  content: { deviceContent: { "properties.desired.x": 1 } },
  targetCondition: "*",
  priority: 1,
};
await checks.does("Registry.addConfiguration", () => registry.addConfiguration(configuration));
await checks.does("Registry.getConfiguration", () => registry.getConfiguration("c1"));
await checks.does("Registry.getConfigurations", () => registry.getConfigurations());
await checks.does("Registry.updateConfiguration", () =>
  registry.updateConfiguration(configuration, true),
);
await checks.does("Registry.removeConfiguration", () => registry.removeConfiguration("c1"));
await checks.does("Registry.applyConfigurationContentOnDevice", () =>
  registry.applyConfigurationContentOnDevice("d1", { modulesContent: {} }),
);
const jobs = JobClient.fromConnectionString(owner);
await checks.does("JobClient.fromConnectionString", () => ok(jobs instanceof JobClient));
await checks.does("JobClient.fromSharedAccessSignature", () => {
  const signature = "SharedAccessSignature sr=localhost&sig=c2ln&se=1900000000&skn=iothubowner";
  ok(JobClient.fromSharedAccessSignature(signature) instanceof JobClient);
});
await checks.does("JobClient.fromTokenCredential", async () => {
  const getToken = async () => ({ token: "none", expiresOnTimestamp: Date.now() + 3_600_000 });
  await JobClient.fromTokenCredential("localhost", { getToken }).getJob("j1");
});
await checks.does("JobClient.scheduleTwinUpdate", () =>
  jobs.scheduleTwinUpdate("j1", "*", { tags: { job: 1 } }, new Date(), 60),
);
await checks.does("JobClient.scheduleDeviceMethod", () =>
  jobs.scheduleDeviceMethod("j2", "*", { methodName: "m", payload: null }, new Date(), 60),
);
await checks.does("JobClient.getJob", () => jobs.getJob("j1"));
await checks.does("JobClient.cancelJob", () => jobs.cancelJob("j1"));
await checks.does("JobClient.createQuery", () => jobs.createQuery().next());
const digital = new DigitalTwinClient(new IoTHubTokenCredentials(owner));
await checks.does("DigitalTwinClient.getDigitalTwin", () => digital.getDigitalTwin("d1"));
await checks.does("DigitalTwinClient.updateDigitalTwin", () =>
  digital.updateDigitalTwin("d1", [{ op: "add", path: "/a", value: 1 }]),
);
await checks.does("DigitalTwinClient.invokeCommand", () =>
  digital.invokeCommand("d1", "reboot", {}),
);
await checks.does("DigitalTwinClient.invokeComponentCommand", () =>
  digital.invokeComponentCommand("d1", "part", "reboot", {}),
);
report([checks]);

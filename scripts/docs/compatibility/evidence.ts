/** A test that shows a behaviour: the file, and a title (or, in a vector file, the name of a case) that stands in it. */
export type Shown = { file: string; title: string };

const from =
  (file: string) =>
  (...titles: string[]): Shown[] =>
    titles.map((title) => ({ file, title }));

const hub = (name: string) => from(`packages/hub/test/${name}.test.ts`);
const protocol = (name: string) => from(`packages/protocol/test/${name}.test.ts`);
const device = (name: string) => from(`packages/device/test/${name}.test.ts`);
const vector = (name: string) => from(`vectors/${name}.json`);

export const by = {
  hub: {
    auth: hub("auth/authenticator"),
    back: hub("mqtt/back-pressure"),
    c2d: hub("mqtt/c2d"),
    connect: hub("mqtt/connect"),
    durable: hub("hub/durable-hub"),
    hub: hub("hub/hub"),
    identities: hub("identities/identities"),
    methods: hub("methods/methods"),
    requests: hub("mqtt/requests"),
    rest: hub("rest/rest-azure"),
    hubwire: hub("rest/rest-hubwire"),
    sessions: hub("mqtt/sessions"),
    subscribe: hub("mqtt/subscribe"),
    telemetry: hub("mqtt/telemetry"),
    twins: hub("twins/twins"),
    wills: hub("mqtt/wills"),
  },
  protocol: {
    base64: protocol("iothub/base64"),
    clientSession: protocol("mqtt-client-session"),
    mergePatch: protocol("twin/merge-patch"),
    partition: protocol("iothub/partition"),
    properties: protocol("iothub/properties"),
    rest: protocol("iothub/rest"),
    sas: protocol("iothub/sas-token"),
    serverSession: protocol("mqtt-server-session"),
    topics: protocol("iothub/topics"),
    twin: protocol("twin/twin-document"),
    twinSection: protocol("twin/twin-section"),
    violations: protocol("mqtt-violations"),
  },
  device: {
    c2d: device("c2d"),
    connect: device("connect"),
    desired: device("desired"),
    methods: device("methods"),
    options: device("options"),
    renewal: device("renewal"),
    telemetry: device("telemetry"),
    twin: device("twin"),
  },
  vectors: {
    auth: vector("hub-auth"),
    connectionString: vector("connection-string"),
    bag: vector("property-bag"),
    packets: vector("mqtt-violations"),
    sas: vector("sas-token"),
    section: vector("twin-section"),
    topics: vector("topics"),
    username: vector("mqtt-username"),
  },
  tls: from("packages/transport/test/tls-streams.test.ts"),
  segments: from("packages/log/test/segments.test.ts"),
  guide: from("test/conformance/guide.test.ts"),
  mosquitto: from("test/conformance/mosquitto.test.ts"),
  slow: from("test/hostile/slow.test.ts"),
};

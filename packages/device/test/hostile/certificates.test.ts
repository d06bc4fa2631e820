import { listenTls, systemClock } from "@hubwire/transport";
import type { TlsListener } from "@hubwire/transport";
import { testCertificates } from "@hubwire/testkit";
import type { TestCertificate } from "@hubwire/testkit";
import { connect } from "@hubwire/device";
import type { ConnectOptions, DeviceClient, DeviceStatus } from "@hubwire/device";
import { expect, test } from "vitest";
import { FakeHub } from "../support/fake-hub.ts";

const certificates = await testCertificates();
const dayMs = 86_400_000;
const san = ["localhost"];
const stranger = await certificates.ca({ cn: "Stranger CA" });
const bad: readonly (readonly [string, TestCertificate, string])[] = [
  [
    "untrusted",
    await certificates.issue({ cn: "hub", san, issuer: stranger }),
    "transport.tls_untrusted",
  ],
  ["self-signed", await certificates.selfSigned({ cn: "hub", san }), "transport.tls_self_signed"],
  [
    "expired",
    await certificates.issue({
      cn: "hub",
      san,
      notBefore: new Date(Date.now() - 10 * dayMs),
      notAfter: new Date(Date.now() - dayMs),
    }),
    "transport.tls_expired",
  ],
  [
    "not yet valid",
    await certificates.issue({ cn: "hub", san, notBefore: new Date(Date.now() + dayMs) }),
    "transport.tls_not_yet_valid",
  ],
  [
    "wrongly named",
    await certificates.issue({ cn: "hub", san: ["other.example"] }),
    "transport.tls_name_mismatch",
  ],
];

/** A hub whose certificate can be exchanged under way. */
class TlsHub implements AsyncDisposable {
  readonly hub: FakeHub;
  readonly listener: TlsListener;

  constructor(hub: FakeHub, listener: TlsListener) {
    this.hub = hub;
    this.listener = listener;
  }

  static async start(identity: TestCertificate): Promise<TlsHub> {
    const hub = new FakeHub(systemClock());
    const listener = await listenTls({
      host: "127.0.0.1",
      port: 0,
      key: identity.key,
      cert: identity.fullChain,
      onStream: (stream) => hub.serve(stream),
    });
    return new TlsHub(hub, listener);
  }

  present({ key, fullChain }: TestCertificate): void {
    this.listener.updateSecureContext({ key, cert: fullChain });
  }

  options(options: Partial<ConnectOptions> = {}): ConnectOptions {
    return {
      connectionString: "HostName=localhost;DeviceId=dev1;SharedAccessKey=MDEyMzQ1Njc4OTAxMjM0NTY3",
      port: this.listener.port,
      ca: certificates.root.cert,
      retry: { minMs: 5, maxMs: 20 },
      ...options,
    } as ConnectOptions;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.listener.close();
  }
}

async function until(
  client: DeviceClient,
  found: (status: DeviceStatus) => boolean,
): Promise<DeviceStatus> {
  for await (const status of client.statusChanges()) if (found(status)) return status;
  throw new Error("the client ended");
}

test.each(bad)(
  "a certificate that is %s: nothing is sent, and connect() names it",
  async (name, identity, code) => {
    await using hub = await TlsHub.start(identity);
    const opening = connect(hub.options({ connectTimeoutMs: 300 }));
    // The device's clock decides about these two, and it may be set right any moment.
    const heals = name === "expired" || name === "not yet valid";
    await expect(opening).rejects.toMatchObject(
      heals
        ? { code: "device.connect_timeout", cause: { code, retryable: true } }
        : { code, retryable: false },
    );
    expect(hub.hub.connections).toEqual([]);
  },
);

test.each(bad)(
  "a hub that comes back with a certificate that is %s is not talked to, and found when it has a good one",
  async (_name, identity, code) => {
    await using hub = await TlsHub.start(certificates.server);
    await using client = await connect(hub.options());
    hub.present(identity);
    hub.hub.cut();
    const sent = client.sendTelemetry("for the real hub only");
    await until(client, (status) => status.state === "waiting" && status.cause.code === code);
    expect(hub.hub.telemetry).toEqual([]);
    hub.present(certificates.server);
    await sent;
    expect(hub.hub.texts).toEqual(["for the real hub only"]);
    expect(client.status().state).toBe("connected");
  },
);

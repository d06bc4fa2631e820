import {
  parseCertificateRequest,
  certificateResponseTopic,
  parseDeviceTopic,
  payloadOf,
} from "@hubwire/protocol";
import type { CertificateRequest } from "@hubwire/protocol";
import { issueRequested } from "@hubwire/testkit";
import type { TestCertificate } from "@hubwire/testkit";
import type { FakeHub, HubConnection } from "../support/fake-hub.ts";
import { identity } from "../support/fake-hub.ts";
import type { HubScript } from "../support/script.ts";

/** One request, as the hub got it. */
export type Asked = {
  rid: string;
  request: CertificateRequest;
  hub: FakeHub;
  connection: HubConnection;
};

/** What the hub does with a request: answers, or nothing. @param number 1 for the first */
export type Policy = (asked: Asked, number: number, issuer: Issuer) => void | Promise<void>;

const dayMs = 86_400_000;

/** The credentials part of a hub: takes requests, answers as told. */
export class Issuer {
  readonly authority: TestCertificate;
  readonly asked: Asked[] = [];
  readonly #policy: Policy;

  constructor(
    authority: TestCertificate,
    policy: Policy = (asked, _, issuer) => issuer.accept(asked),
  ) {
    this.authority = authority;
    this.#policy = policy;
  }

  /** For the fake hub. */
  get script(): HubScript {
    return {
      onEffect: (effect, connection, hub) => {
        if (effect.type !== "message") return undefined;
        const topic = parseDeviceTopic(effect.topic, identity);
        if (topic.type !== "certificateIssue") return undefined;
        const request = parseCertificateRequest(payloadOf(effect));
        if (request === undefined) throw new Error("the device sent no certificate request");
        const asked: Asked = { rid: topic.rid, request, hub, connection };
        this.asked.push(asked);
        void this.#policy(asked, this.asked.length, this);
        return "taken";
      },
    };
  }

  /** 202 now, 200 after three seconds. */
  accept(asked: Asked): void {
    const { clock } = asked.hub;
    this.answer(asked, 202, {
      correlationId: "c-1",
      operationExpires: new Date(clock.wallMs() + 120_000).toISOString(),
    });
    clock.at(clock.nowMs() + 3_000, () => void this.issue(asked));
  }

  async issue(asked: Asked, csr = asked.request.csr, cn = "dev1"): Promise<void> {
    const wallMs = asked.hub.clock.wallMs();
    const leaf = await issueRequested(Buffer.from(csr, "base64"), this.authority, {
      notBefore: new Date(wallMs - 60_000),
      notAfter: new Date(wallMs + 30 * dayMs),
      cn,
    });
    const certificates = [leaf, this.authority.raw].map((der) =>
      Buffer.from(der).toString("base64"),
    );
    this.answer(asked, 200, { certificates, correlationId: "c-1" });
  }

  answer({ connection, rid, hub }: Asked, status: number, body: unknown): void {
    if (connection.closed) return;
    const payload = Buffer.from(typeof body === "string" ? body : JSON.stringify(body), "utf8");
    const topic = certificateResponseTopic(status, rid);
    connection.session.publish({ topic, payload, qos: 0 }, hub.clock.nowMs());
    connection.driver.touch();
  }
}

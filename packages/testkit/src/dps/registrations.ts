import { randomUUID } from "node:crypto";
import type { JsonObject, JsonValue } from "@hubwire/protocol";
import { toAscii } from "@hubwire/protocol/dps";
import type { Admitted, Allocation } from "./enrolments.ts";

/** One answer of the service. `body` is written as JSON, or as it is when it is bytes. */
export type DpsReply = {
  status: number;
  body: JsonValue | Uint8Array;
  /** Default that of the request. */
  rid?: string;
  retryAfterS?: number;
  /** How long it takes, milliseconds; default 0. */
  afterMs?: number;
};

export type DpsRequest =
  | { type: "register"; registrationId: string; rid: string; body: JsonObject; text: string }
  | { type: "status"; registrationId: string; rid: string; operationId: string; text: string };

type Operation = {
  operationId: string;
  registrationId: string;
  pollsLeft: number;
  result: Promise<JsonObject>;
};

/** What became of the registrations of one service: operations outlive connections. */
export class Registrations {
  /** Answers 202 before the last one, per registration. */
  pollsBeforeAssigned = 1;
  retryAfterS = 3;
  readonly #now: () => Date;
  readonly #operations = new Map<string, Operation>();
  readonly #latest = new Map<string, JsonObject>();

  constructor(now: () => Date) {
    this.#now = now;
  }

  /** As a service that lost what was under way. */
  forgetOperations(): void {
    this.#operations.clear();
  }

  register(request: DpsRequest & { type: "register" }, admitted: Admitted): DpsReply {
    const { registrationId, body } = request;
    const operationId = `5.${randomUUID().replaceAll("-", "").slice(0, 16)}.${randomUUID()}`;
    const operation: Operation = {
      operationId,
      registrationId,
      pollsLeft: this.pollsBeforeAssigned,
      result: this.#assign(registrationId, body, admitted),
    };
    this.#operations.set(operationId, operation);
    return this.#pending(operation);
  }

  async status(request: DpsRequest & { type: "status" }): Promise<DpsReply> {
    const operation = this.#operations.get(request.operationId);
    if (operation?.registrationId !== request.registrationId) return this.refusal(404, 404204);
    operation.pollsLeft -= 1;
    if (operation.pollsLeft > 0) return this.#pending(operation);
    const registrationState = await operation.result;
    const { status } = registrationState;
    const { operationId } = operation;
    return { status: 200, body: { operationId, status: status ?? null, registrationState } };
  }

  /** @param errorCode as published where it is; a number made up from the status elsewhere */
  refusal(status: number, errorCode = status * 1000, message = "Unauthorized"): DpsReply {
    const timestampUtc = this.#now().toISOString();
    return { status, body: { errorCode, trackingId: randomUUID(), message, timestampUtc } };
  }

  #pending({ operationId }: Operation): DpsReply {
    const body = { operationId, status: "assigning" };
    return { status: 202, body, retryAfterS: this.retryAfterS };
  }

  async #assign(registrationId: string, body: JsonObject, admitted: Admitted): Promise<JsonObject> {
    const { enrolment, authentication } = admitted;
    const createdDateTimeUtc = this.#now().toISOString();
    const common = {
      registrationId,
      createdDateTimeUtc,
      lastUpdatedDateTimeUtc: createdDateTimeUtc,
    };
    if (enrolment.provisioningStatus === "disabled") return { ...common, status: "disabled" };
    const deviceId = ("deviceId" in enrolment ? enrolment.deviceId : undefined) ?? registrationId;
    let allocation: Allocation;
    try {
      allocation = await enrolment.allocate({
        registrationId,
        deviceId,
        payload: body["payload"],
        csr: typeof body["csr"] === "string" ? body["csr"] : undefined,
        authentication,
      });
    } catch (error) {
      const errorMessage = error instanceof Error ? error.message : String(error);
      return { ...common, status: "failed", errorCode: 400207, errorMessage };
    }
    const { assignedHub, payload, issuedCertificateChain } = allocation;
    const before = this.#latest.get(registrationId);
    const moved = before !== undefined && before["assignedHub"] !== assignedHub;
    const state: JsonObject = {
      ...common,
      assignedHub,
      deviceId: allocation.deviceId ?? deviceId,
      status: "assigned",
      substatus: moved ? "deviceDataMigrated" : "initialAssignment",
      etag: Buffer.from(`"${randomUUID()}"`).toString("base64"),
      ...(payload === undefined ? {} : { payload }),
      ...(issuedCertificateChain && { issuedCertificateChain: [...issuedCertificateChain] }),
      ...("groupId" in enrolment && authentication.type === "sas"
        ? { symmetricKey: { enrollmentGroupId: enrolment.groupId } }
        : {}),
    };
    this.#latest.set(registrationId, state);
    return state;
  }
}

/** The official Node client reads answers as ASCII. */
export const replyBytes = ({ body }: DpsReply): Uint8Array =>
  body instanceof Uint8Array ? body : Buffer.from(toAscii(JSON.stringify(body)), "ascii");

import { IotError } from "@hubwire/protocol";
import { statusOf } from "./conditions.ts";
import type { LinkHost, LinkService } from "./link.ts";
import { rhea } from "./rhea.ts";
import type { RheaMessage, RheaReceiver } from "./rhea.ts";

/** Messages a peer may have under way to a service of the hub. */
export const requestCredit = 100;

const tokenTypes = ["servicebus.windows.net:sastoken", "sastoken"];

/** Where answers go out; what is sent there is decided by `cbsRequests`. */
export const cbsAnswers = (): LinkService => ({ need: undefined });

/** `$cbs`: `put-token` (and `delete-token`, which needs nothing done) before every other link. */
export function cbsRequests(host: LinkHost, link: RheaReceiver): LinkService {
  link.add_credit(requestCredit);
  return {
    need: undefined,
    onMessage(message, delivery, isOversize) {
      delivery.accept();
      link.add_credit(1);
      if (isOversize) return;
      let status = 200;
      let description = "OK";
      try {
        status = putToken(host, message);
        if (status === 202) description = "Accepted";
      } catch (error) {
        status = statusOf(error);
        description = error instanceof IotError ? error.message : "The hub could not do this";
        const { logger } = host.parts;
        logger.info({ event: "amqp_token_refused", reason: description }, "A token was refused");
      }
      const answer = host.replyLink(link, "$cbs", message.reply_to);
      if (answer === undefined) return;
      const payload = rhea.message.encode({
        correlation_id: message.message_id,
        application_properties: {
          "status-code": rhea.types.wrap_int(status),
          "status-description": description,
        },
        body: null,
      });
      host.outgoing(answer).send(answer, payload);
    },
  };
}

/** @returns 200 for a token of the hub, 202 for one of the Event Hubs endpoint, as the services do */
function putToken(host: LinkHost, message: RheaMessage): number {
  const { operation, type, name } = message.application_properties ?? {};
  if (operation === "delete-token") return 200;
  if (operation !== "put-token") {
    throw new IotError("argument.invalid", `$cbs has no operation ${JSON.stringify(operation)}`);
  }
  if (typeof type === "string" && !tokenTypes.includes(type.toLowerCase())) {
    throw new IotError("auth.token_malformed", `The hub takes no tokens of type ${type}`);
  }
  if (typeof message.body !== "string" || typeof name !== "string") {
    throw new IotError("auth.token_malformed", "put-token has a name, and a token as its body");
  }
  const grant = host.parts.tokens.read(message.body);
  host.grants.put(name, grant);
  host.trusted();
  return grant.kind === "hub" ? 200 : 202;
}

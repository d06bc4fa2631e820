import { IotError } from "@hubwire/protocol";
import { c2dLink } from "./c2d-link.ts";
import { cbsAnswers, cbsRequests } from "./cbs-link.ts";
import { eventsLink } from "./events/events-link.ts";
import { managementAnswers, managementRequests } from "./events/management-link.ts";
import { feedbackLink } from "./feedback-link.ts";
import type { LinkHost, LinkService } from "./link.ts";
import { isGiven } from "./message-values.ts";
import { Redirect } from "./redirect.ts";
import type { RheaReceiver, RheaSender } from "./rhea.ts";

/** `{entity}/ConsumerGroups/{group}/Partitions/{partition}` */
const partitionAddress = /^(.+)\/consumergroups\/([^/]+)\/partitions\/([^/]+)$/i;
/** The same under IoT Hub's own name for it; Azure answers with a redirect. */
const hubEventsAddress = /^messages\/events(\/|$)/i;

const withoutSlashes = (address: string): string => address.replace(/^\/+|\/+$/g, "");

/**
 * Gives a link the service of its address (case does not matter, nor do slashes at the ends) and answers the attach with
 * the termini the peer asked for; clients wait for that.
 * @throws IotError when the link is refused; the attach is then answered without them
 */
export function attachLink(host: LinkHost, link: RheaSender | RheaReceiver): LinkService {
  const remote = link.remote.attach;
  if (remote === undefined) throw new IotError("amqp.bad_frame", "attach without fields");
  const terminus = link.is_receiver() ? remote.target : remote.source;
  const address = terminus?.address ?? "";
  if (typeof address !== "string") throw unknown("");
  const service = link.is_receiver()
    ? receiving(host, link as RheaReceiver, withoutSlashes(address))
    : sending(host, link as RheaSender, withoutSlashes(address));
  const { attach } = link.local;
  if (isGiven(remote.source)) attach["source"] = remote.source.described();
  if (isGiven(remote.target)) attach["target"] = remote.target.described();
  attach["max_message_size"] = host.parts.limits.messageBytesMax;
  return service;
}

/** The peer sends. */
function receiving(host: LinkHost, link: RheaReceiver, address: string): LinkService {
  switch (address.toLowerCase()) {
    case "$cbs":
      return cbsRequests(host, link);
    case "$management":
      return managementRequests(host, link);
    case "messages/devicebound":
      return c2dLink(host, link);
    default:
      throw isEntity(host, address)
        ? new IotError("auth.policy_permission", "The built-in endpoint takes no events by AMQP")
        : unknown(address);
  }
}

/** The peer receives. */
function sending(host: LinkHost, link: RheaSender, address: string): LinkService {
  switch (address.toLowerCase()) {
    case "$cbs":
      return cbsAnswers();
    case "$management":
      return managementAnswers(host);
    case "messages/servicebound/feedback":
      return feedbackLink(host, link);
    case "messages/servicebound/filenotifications":
    case "messages/servicebound/fileuploadnotifications":
      throw new IotError(
        "amqp.address_unknown",
        "This hub has no file upload, and so no notifications of it",
      );
    default: {
      if (hubEventsAddress.test(address)) throw new Redirect(host, address);
      const [, entity, group, partition] = partitionAddress.exec(address) ?? [];
      if (entity === undefined || !isEntity(host, entity)) throw unknown(address);
      return eventsLink(host, link, { group: group!, partition: partition!, path: address });
    }
  }
}

const isEntity = (host: LinkHost, address: string): boolean =>
  address.split("/")[0]!.toLowerCase() === host.parts.entity.toLowerCase();

const unknown = (address: string): IotError =>
  new IotError(
    "amqp.address_unknown",
    `There is no address ${JSON.stringify(address.slice(0, 200))}`,
  );

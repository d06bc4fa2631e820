import { routes } from "./rest-route.ts";

/** Cloud-to-device messages, as far as they go over HTTP. */
export const messageRoutes = routes([
  {
    name: "commands.purge",
    method: "DELETE",
    path: "/devices/{deviceId}/commands",
    permission: "ServiceConnect",
    request: "none",
    response: "purgeResult",
    status: 200,
    summary: "Removes every cloud-to-device message that waits for the device.",
  },
  {
    name: "feedback.receive",
    method: "GET",
    path: "/messages/servicebound/feedback",
    permission: "ServiceConnect",
    request: "none",
    response: "feedback",
    status: 200,
    summary:
      "Locks and answers the oldest batch of feedback; 204 when there is none. The lock token is in the ETag.",
  },
  {
    name: "feedback.complete",
    method: "DELETE",
    path: "/messages/servicebound/feedback/{lockToken}",
    permission: "ServiceConnect",
    request: "none",
    response: "none",
    status: 204,
    summary: "Completes a batch of feedback, or with `reject` in the query drops it.",
    query: ["reject"],
  },
  {
    name: "feedback.abandon",
    method: "POST",
    path: "/messages/servicebound/feedback/{lockToken}/abandon",
    permission: "ServiceConnect",
    request: "none",
    response: "none",
    status: 204,
    summary: "Gives a batch of feedback back, to be received again.",
  },
]);

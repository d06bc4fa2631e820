import { IotError } from "../errors/iot-error.ts";

/**
 * The topics of the provisioning service, written and read. The slash before the question mark is part of them; `$rid`
 * comes first, because clients cut at the dollar sign.
 * @see Azure DPS docs, "Communicate with your DPS using the MQTT protocol"
 */

export const dpsAnswersFilter = "$dps/registrations/res/#";

const REGISTER = "$dps/registrations/PUT/iotdps-register/?";
const STATUS = "$dps/registrations/GET/iotdps-get-operationstatus/?";
const ANSWER = "$dps/registrations/res/";

export type DpsRequestTopic =
  | { type: "register"; rid: string }
  | { type: "status"; rid: string; operationId: string }
  | { type: "unknown"; why: string };

export type DpsAnswerTopic =
  | {
      type: "answer";
      /** As in HTTP. */
      status: number;
      rid: string;
      /** Seconds to wait before asking again; undefined when the answer does not say, or says nonsense. */
      retryAfterS: number | undefined;
    }
  | { type: "unknown"; why: string };

/** @throws IotError `topic.bad_part` */
export const dpsRegisterTopic = (rid: string): string => `${REGISTER}$rid=${part("rid", rid)}`;

/** @throws IotError `topic.bad_part` */
export const dpsStatusTopic = (rid: string, operationId: string): string =>
  `${STATUS}$rid=${part("rid", rid)}&operationId=${part("operation id", operationId)}`;

/** @throws IotError `topic.bad_part` */
export const dpsAnswerTopic = (status: number, rid: string, retryAfterS?: number): string =>
  `${ANSWER}${status}/?$rid=${part("rid", rid)}${retryAfterS === undefined ? "" : `&retry-after=${retryAfterS}`}`;

/** What a device asks. Never throws. */
export function parseDpsRequestTopic(topic: string): DpsRequestTopic {
  if (topic.startsWith(REGISTER)) {
    const rid = parameters(topic.slice(REGISTER.length)).get("$rid");
    return rid === undefined ? unknown("it has no $rid") : { type: "register", rid };
  }
  if (!topic.startsWith(STATUS)) return unknown("it is no request of a device");
  const query = parameters(topic.slice(STATUS.length));
  const rid = query.get("$rid");
  const operationId = query.get("operationid");
  if (rid === undefined) return unknown("it has no $rid");
  if (operationId === undefined) return unknown("it has no operationId");
  return { type: "status", rid, operationId };
}

const STATUS_AND_QUERY = /^(\d{3})\/\?(.*)$/;
/** A week. A longer wait is a mistake somewhere. */
const retryAfterSMax = 604_800;

/** What the service answers. Never throws. */
export function parseDpsAnswerTopic(topic: string): DpsAnswerTopic {
  if (!topic.startsWith(ANSWER)) return unknown("it is no answer to a device");
  const [, status, text] = STATUS_AND_QUERY.exec(topic.slice(ANSWER.length)) ?? [];
  if (status === undefined || text === undefined) return unknown("it has no status and query");
  const query = parameters(text);
  const rid = query.get("$rid");
  if (rid === undefined) return unknown("it has no $rid");
  const given = query.get("retry-after");
  const seconds = given !== undefined && /^\d{1,6}$/.test(given) ? Number(given) : undefined;
  const retryAfterS = seconds !== undefined && seconds <= retryAfterSMax ? seconds : undefined;
  return { type: "answer", status: Number(status), rid, retryAfterS };
}

/** Names in lower case, because SDKs differ in `Retry-After`; values verbatim; empty ones and repetitions left out. */
function parameters(query: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const pair of query.split("&")) {
    const equals = pair.indexOf("=");
    const name = pair.slice(0, equals).toLowerCase();
    if (equals > 0 && equals < pair.length - 1 && !found.has(name)) {
      found.set(name, pair.slice(equals + 1));
    }
  }
  return found;
}

const unknown = (why: string): { type: "unknown"; why: string } => ({ type: "unknown", why });

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const UNFIT = /[/+#&?$\u0000-\u001f\u007f-\u009f]|[\ud800-\udfff]/u;

/** Whether text can stand as a value in these topics. */
export const fitsDpsTopic = (text: string): boolean =>
  text !== "" && text.length <= 512 && !UNFIT.test(text);

function part(what: string, text: string): string {
  if (fitsDpsTopic(text)) return text;
  throw new IotError(
    "topic.bad_part",
    `The ${what} is empty, too long or has a character these topics cannot hold`,
  );
}

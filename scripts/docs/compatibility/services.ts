import { by } from "./evidence.ts";
import { absent, differs, same, type Section } from "./row.ts";

const { hub, protocol, device, vectors } = by;

/** What a back end sees, and what this project's own device client does. */
export const serviceSections: readonly Section[] = [
  {
    title: "Service REST: in general",
    rows: [
      same(
        "`api-version` is needed; 2018-06-30 to 2024-03-31 are served",
        hub.rest("an api-version that is %s is refused on every route", "api-version %s is served"),
      ),
      same(
        "Paths in any case, with or without the last `/`; ids percent-encoded and compared verbatim",
        hub.rest(
          "ids travel percent-encoded and are compared verbatim",
          "devices are listed with a trailing slash, up to top",
        ),
      ),
      same(
        "The permissions of the five built-in policies",
        hub.rest("every route needs its permission, and the refusal names the exact reason"),
        vectors.auth(
          "writing the registry includes reading it",
          "service does not read the registry",
        ),
      ),
      same(
        "A policy's token may be for less than the hub (`{host}/devices/{id}`); the key of a device opens no service route",
        hub.rest(
          "a token for %s asks %s %s: covered %s",
          "the key of a device opens no service route, not even its own device's",
        ),
      ),
      same(
        "The official registry client (`azure-iothub` 1.16) does its operations and names its errors",
        hub.rest(
          "azure-iothub creates, reads, updates, lists and deletes devices",
          "azure-iothub names the errors of devices",
          "azure-iothub calls methods and tells the failures apart",
        ),
      ),
      same(
        "The error envelope: `ErrorCode:{Name};…` and `iothub-errorcode`; modules and methods in their own forms",
        hub.rest(
          "the error envelope has the form that every SDK reads",
          "module routes tell errors in the newer form",
        ),
        protocol.iothub("form C wraps B into text"),
      ),
      differs(
        "Error texts",
        "The hub's own words, and one header more: `hubwire-errorcode`, a code of the [error reference](errors.md).",
        hub.rest(
          "each failing check of a token has its own reason, and the log line holds no token",
        ),
      ),
      differs(
        "Port 443",
        "443 where it may be bound, else 8443, else a free one. Service SDKs dial 443 only.",
        hub.data("a back end sees the same hub over HTTPS, with each policy's own rights"),
      ),
      absent("Policies of one's own, key rotation of policies"),
    ],
  },
  {
    title: "Identities",
    rows: [
      same(
        "Create, read, replace, delete; the JSON members and their order",
        hub.rest("a device is created, read, replaced and deleted as Azure does it"),
      ),
      same(
        "PUT without If-Match creates (409 when it exists); with If-Match it updates (404, 412)",
        hub.identities(
          "create refuses what exists, update and delete refuse what does not",
          "an update needs the current etag, which it changes",
        ),
      ),
      same(
        '`If-Match: "*"`, quoted or bare; DELETE needs one',
        hub.rest(
          "If-Match %s takes any etag",
          "a delete without If-Match is refused",
          "%s takes its etag: %s",
          "%s refuses an etag that is %s",
        ),
      ),
      same(
        "An update replaces everything; without `authentication` it makes new keys",
        hub.identities(
          "an update replaces every writable member, and without authentication mints new keys",
        ),
      ),
      same(
        "Ids of 1 to 128 characters, case-sensitive; thumbprints without colons, keys of 16 to 64 bytes",
        hub.identities("device id %j is %s", "module id %j is %s", "authentication: %s"),
        protocol.iothub("registry keys: %s"),
      ),
      same(
        "Modules, at most 50 per device",
        hub.rest("a module is created, listed, updated and deleted"),
        hub.identities("a device has at most 50 modules, however many are asked for at once"),
      ),
      same(
        "A recreated device is another one (`generationId`): no old twin, queue or session",
        hub.identities(
          "a recreated device is another one: other generation, other keys, no modules",
          "deleting a device removes its twin, session, queue and modules",
        ),
      ),
      same(
        "Statistics of devices and connections",
        hub.rest("statistics count devices and connections"),
      ),
      same("Edge devices show their scope", hub.rest("an edge device shows its scope")),
      differs(
        "`$edgeAgent` and `$edgeHub` are made with an edge device",
        "Not made: there is no edge.",
        hub.identities("module id %j is %s"),
      ),
      same(
        "Bulk (`POST /devices`) in every import mode, up to 100 elements, each for itself, with twins",
        hub.rest(
          "%s of %s leaves it %s",
          "each element is for itself: what fails keeps nobody else from it",
          "a device whose twin cannot be written is there, and a warning says so",
          "azure-iothub adds, updates and removes devices in bulk",
        ),
      ),
      absent("Import and export jobs"),
    ],
  },
  {
    title: "Twins, as services see them",
    rows: [
      same(
        "Read, patch, replace; the whole document with metadata, versions, etag",
        hub.rest("a twin is read, patched and replaced, with its etag in the header"),
        protocol.twin("has the shape and the order of the service's own answer"),
      ),
      same(
        "A new twin: version 2, sections at 1, etag `AAAAAAAAAAE=`",
        protocol.twin("has version 2, sections at 1 and the first etag"),
      ),
      same(
        "The etag moves with tags and desired properties, not with reports",
        protocol.twin("merge, count up, leave desired, tags and etag alone"),
      ),
      same(
        "Metadata with seven fractional digits and `$lastUpdatedVersion` on desired properties",
        protocol.twin(
          "timestamps have seven fractional digits",
          "metadata: what the patch names is stamped anew, down from the root; the rest keeps its time",
        ),
      ),
      same(
        "`$version`, `$metadata` and reported properties in a patch are ignored, so that a whole twin may be sent back",
        hub.twins(
          "a service can send back the whole twin it read",
          "reported properties sent by a service are ignored",
        ),
      ),
      same(
        "Twins of modules; both missing devices and missing modules are 404001",
        hub.twins(
          "a module has a twin of its own",
          "unknown devices and modules are both answered 404001",
        ),
      ),
      same(
        "Queries by page (`POST /devices/query`); no continuation on the last page",
        hub.rest(
          "azure-iothub walks through a query page by page, to its end",
          "a query is paged by headers, and the last page has no continuation",
        ),
      ),
      same(
        "The query language over `devices` and `devices.modules`: SELECT with columns and aliases, TOP, WHERE, IN, NIN, aggregates, GROUP BY",
        vectors.query(
          "conditions joined",
          "the collection's name before a member of a twin",
          "NOT binds tighter than AND, AND tighter than OR",
          "unlike types are not unequal either",
          "aggregates over modules",
          "a missing member is left out",
        ),
        hub.query("a twin is the one that the twin's own address shows"),
      ),
      differs(
        "Functions in queries over twins",
        "All that Azure documents for message routing, where it documents only IS_DEFINED for twins (its explorer sends STARTSWITH).",
        vectors.query("text functions", "types", "mathematics"),
      ),
      differs(
        "How fresh a query's results are",
        "As fresh as the twin itself; Azure lags a second or two behind, and may show what was deleted.",
        hub.query("what a deleted device left behind is not found under its successor"),
      ),
      differs(
        "A query that cannot be read",
        "400004 ArgumentInvalid as on Azure; the text is the hub's own and begins with line and column.",
        hub.query("a query that cannot be read is refused with its place"),
      ),
      absent("Jobs, configurations", "Answered 404 FeatureNotSupported (404013)."),
      absent("Digital twins (`/digitaltwins`)", "The twin itself has the model id."),
    ],
  },
  {
    title: "Everything else",
    rows: [
      absent("Device Provisioning Service"),
      absent("Device REST: telemetry, receiving messages, file upload"),
      absent(
        "Operation throttles and daily message quotas",
        "Nothing is counted; bounds protect the hub.",
      ),
      absent("Fault injection (`AzIoTHub_FaultOperationType`)", "Such messages are telemetry."),
      absent(
        "IoT Edge: module inputs, routing between modules",
        "Messages to an output are telemetry.",
      ),
      differs(
        "Health and metrics through Azure Monitor",
        "`/healthz`, `/readyz`, `/metrics` on the HTTPS port.",
        hub.rest(
          "health needs no token; readiness tells why not",
          "metrics are for this machine, or for ServiceConnect",
        ),
      ),
    ],
  },
  {
    title: "The device client, against either hub",
    rows: [
      same(
        "CONNECT as Azure wants it: client id, user name with api-version, token or certificate",
        device("CONNECT carries what Azure IoT Hub wants"),
      ),
      differs(
        "Official SDKs acknowledge a cloud-to-device message when it arrives",
        "PUBACK is sent when its handler finished, so a crash loses nothing. PUBACKs leave as handlers finish, not in order of arrival as [MQTT-4.6.0-2] asks: one stuck handler does not hold the others.",
        device(
          "the handler's return completes a message; one stuck handler does not hold the others",
        ),
        protocol.mqtt("are acknowledged as handlers finish, in any order"),
      ),
      differs(
        "Official SDKs do not answer a method nobody handles: the caller waits for 504101",
        "Answered 404 at once; a handler that throws is answered 500.",
        device("%s is answered at once"),
      ),
      differs(
        "The Node SDK reads success of twin requests from the body",
        "From the status.",
        device("a twin answer %i %s rejects with %s"),
      ),
      same(
        "Tokens are renewed before they expire, by reconnecting with the session",
        device(
          "a renewal is a reconnect without back-off: DISCONNECT and CONNECT in the same moment",
        ),
      ),
      same(
        "Desired properties: subscribe, GET, drop what is older, GET again on a gap",
        device(
          "a missing notification is repaired by reading the twin: nothing is skipped, nothing told twice",
        ),
      ),
      differs(
        "The Node SDK fails a message without PUBACK after 30 s",
        "The connection is taken for dead after `retryIntervalMs` and the message sent again on the next one.",
        device(
          "a hub that never acknowledges: the connection is given up and the message sent again, until its time is over",
        ),
      ),
      differs(
        "Device ids may contain `#` and `+`",
        "Registered, yes; such a device cannot send telemetry over MQTT, here as on Azure: no topic may contain them.",
        vectors.packets("PUBLISH to a topic with #"),
        device("telemetry of %j is refused before it is queued: MQTT has no topic for it"),
      ),
    ],
  },
];

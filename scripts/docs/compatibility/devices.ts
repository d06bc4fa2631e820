import { by } from "./evidence.ts";
import { absent, differs, same, type Section } from "./row.ts";

const { hub, protocol, vectors } = by;

/** What a device sees. */
export const deviceSections: readonly Section[] = [
  {
    title: "Connection strings, endpoints, TLS",
    rows: [
      same(
        "Connection strings of devices and modules with a key, a ready-made token or `x509=true`; of policies; through a gateway",
        vectors.connectionString("symmetric key", "module", "ready-made token", "X.509", "policy"),
        vectors.connectionString("through a gateway", "policy acting as device"),
      ),
      differs(
        "Unknown or repeated parts of a connection string",
        "Refused by name. The Node SDK ignores them, the Python SDK refuses them too; a typo is better told than ignored.",
        vectors.connectionString("unknown name", "repeated key"),
      ),
      same(
        "MQTT over TLS on 8883; nothing without TLS",
        by.conformance("the connection guide works as it stands: %s"),
      ),
      differs(
        "Host name `{hub}.azure-devices.net`",
        "`localhost`, loopback addresses, the machine's name, and what `hostName` and `hostNames` add. A port may stand behind it.",
        hub.data("tokens for any of the hub's names are taken, for others refused"),
        vectors.auth("host with a port is fine, so it comes as far as the token"),
      ),
      differs(
        "The server certificate leads to DigiCert Global Root G2",
        "It leads to the hub's own CA, made on first start: give clients `ca.pem`.",
        hub.data(
          "everything is there after a restart: devices with their keys, twins, messages, telemetry, the CA",
        ),
      ),
      same(
        "MQTT and AMQP over WebSocket at `/$iothub/websocket`, Event Hubs at `/$servicebus/websocket`",
        by.hub.mqtt(
          "%s with %j is answered %s",
          "MQTT over WebSocket carries telemetry and cloud-to-device messages",
          "the official device client's MqttWs works, but for the port it cannot be told",
          "AMQP over WebSocket opens without SASL too",
        ),
      ),
      same(
        "AMQP 1.0 on 5671 for services: with SASL (MSSBCBS, ANONYMOUS, PLAIN) and without, `$cbs`, policies per link, renewal, expiry",
        by.hub.amqp(
          "%s lets a back end in, who then puts a token",
          "SASL PLAIN takes a policy's name with its token, and with its key for events",
          "a token with %s is answered 401",
          "policy %s has no right to %s",
          "a link whose token runs out is detached; a renewed one is not",
        ),
      ),
      absent("AMQP 1.0 for devices"),
      differs(
        "AMQP without TLS",
        "On 5672 of the loopback address only, for the Event Hubs SDK's `UseDevelopmentEmulator=true`.",
        by.hub.amqp("without TLS, on loopback, the hub takes the same tokens"),
      ),
      absent("MQTT 5 (Azure's preview was withdrawn)", "CONNECT with level 5 gets return code 1."),
    ],
  },
  {
    title: "SAS tokens",
    rows: [
      same(
        "Fields in any order, read by name",
        vectors.sas("documentation order and the connection guide"),
      ),
      same(
        "The signature is checked over `sr` as it was sent: every SDK's escaping verifies",
        vectors.sas(
          "lower-case hex",
          "Node service SDK, host not encoded, with port",
          "Python service SDK, slash bare in the signature",
          "C# SDK",
        ),
      ),
      same(
        "Scope by whole path segments; ids are case-sensitive, the host is not",
        vectors.auth("a device whose id goes on", "an id in another case", "host in another case"),
      ),
      same(
        "Ids with special characters, escaped once or twice",
        vectors.auth("an id encoded once", "an id encoded twice"),
      ),
      same(
        "`api-version=…` at the end of `sr`, as old tools write it",
        vectors.auth("old tools' api-version at the end"),
      ),
      same(
        "Primary and secondary key of devices, modules and policies",
        vectors.auth(
          "primary key",
          "secondary key",
          "module key",
          "policy for the whole hub, secondary key",
        ),
      ),
      same(
        "With `skn` the policy's key and its DeviceConnect permission count, for all devices or one",
        vectors.auth(
          "policy for all devices",
          "policy for this device",
          "a policy without DeviceConnect",
        ),
      ),
      same("No maximum lifetime", vectors.auth("a far expiry")),
      same(
        "Keys that are base64 only leniently, like the guide's sample key, sign and verify",
        protocol.iothub("the connection guide's key, which is not canonical base64"),
      ),
      same(
        "MQTT 3.1.1 has no renewal in a connection: a reconnect with a new token keeps the session",
        hub.mqtt(
          "renewal: a new connection with a new token keeps the session, and the old one's end does not touch it",
        ),
      ),
      absent("Microsoft Entra ID (`Bearer` tokens)", "Refused as malformed."),
      absent("Switching SAS off (`disableLocalAuth`, `disableDeviceSAS`)"),
    ],
  },
  {
    title: "X.509",
    rows: [
      same(
        "Thumbprint, SHA-1 or SHA-256, primary or secondary; the CN is free",
        hub.auth("by %s; CN does not matter and there is no expiry"),
      ),
      same(
        "CA-signed: chain with intermediates to a known CA, CN = device id, for modules `device/module`",
        hub.auth("a module's CN is device/module"),
      ),
      same(
        "Refused: unknown thumbprint, wrong CN, unknown CA, outside its dates",
        hub.auth("%s is refused"),
      ),
      same(
        "The registered type decides: a token for an X.509 device is refused, and the other way round",
        hub.auth(
          "a token instead of a certificate is the wrong type, a policy's too",
          "a certificate instead of a token is the wrong type",
        ),
      ),
      differs(
        "The user name is needed with a certificate too",
        "A CONNECT without user name and with a valid certificate is taken by its client id, with one warning line in the log, so that the connection guide's snippet works. `strictUserName: true` refuses it, as Azure does.",
        hub.auth(
          "the guide's snippet: no user name is taken by client id with a warning, unless told to be strict",
        ),
      ),
      differs(
        "CAs are registered with proof of possession, at most 25",
        "Given when the hub starts: `deviceCas`, `--device-ca`.",
        by.conformance("the connection guide works as it stands: %s"),
      ),
      absent("Certificate issuance and renewal over MQTT (`$iothub/credentials`, preview)"),
    ],
  },
  {
    title: "CONNECT",
    rows: [
      same(
        "Refused credentials are CONNACK 5, whatever the check; then the connection closes",
        hub.mqtt("%s: CONNACK, close, and exactly one line"),
      ),
      same(
        "User names of all SDKs: with and without `?`, with nothing behind the id, model id raw or encoded",
        vectors.username(
          "canonical",
          "old SDK without question mark",
          "nothing but host and device",
          "Node SDK with a raw model id",
        ),
      ),
      same(
        "Client id and user name must name the same identity; ids are never percent-decoded",
        vectors.auth("another client id"),
        vectors.username("ids are not percent-decoded"),
      ),
      same(
        "SUBSCRIBE and PUBLISH right behind CONNECT are kept until CONNACK",
        hub.mqtt("subscriptions pipelined behind CONNECT are answered behind CONNACK"),
      ),
      same(
        "The model id of the user name is announced with telemetry and in the twin",
        hub.twins("the announced model id stays with the twin"),
      ),
      same(
        "One connection per identity: the newer one wins, the older is closed without a packet",
        hub.mqtt("a newer connection takes over: the older one is closed without a packet"),
      ),
      same(
        "A device and its modules are identities of their own",
        hub.mqtt("a device and its module are two identities"),
      ),
      same(
        "Keep-alive: 1.5 times the interval, never above 1767 s, 0 counting as 1767 s",
        hub.mqtt("keep-alive %d s: silence is taken for %d ms"),
      ),
      same(
        "Disabling, deleting or re-keying a connected device closes its connection",
        hub.mqtt(
          "a device that is %s loses its connection at once, and its module's when it is the device that goes",
          "a credential in use that is taken away, %s: the connection is closed at once",
        ),
      ),
      differs(
        "`auth-chain` of nested IoT Edge",
        "Ignored, like every parameter the hub does not know: there is no edge.",
        vectors.username("an unknown parameter first"),
      ),
      absent("IP filter"),
    ],
  },
  {
    title: "MQTT sessions",
    rows: [
      same(
        "CleanSession 0: subscriptions are kept, SessionPresent tells so",
        hub.mqtt(
          "a first clean=0 connection has no session; the next one finds its subscriptions",
          "a session outlives the hub",
        ),
      ),
      same(
        "CleanSession 1: starts without a session and keeps none",
        hub.mqtt(
          "clean=1 starts without a session, and deletes the stored one",
          "clean=1 stores nothing",
        ),
      ),
      same(
        "QoS 2 is granted as 1 when subscribing, and closes the connection when publishing",
        hub.mqtt("QoS 2 is granted as 1, and the others as asked"),
        vectors.packets("PUBLISH with QoS 2"),
      ),
      same(
        "`devices/+/messages/devicebound/#`, as embedded C subscribes",
        hub.mqtt("devices/+/messages/devicebound/#"),
      ),
      same(
        "Module filters: `devices/{d}/modules/{m}/#`, `…/inputs/#`, `…/messages/devicebound/#`",
        hub.mqtt("a module may subscribe to its own %s"),
      ),
      same(
        "A protocol violation closes the connection",
        hub.mqtt("%s closes the connection"),
        protocol.mqtt("the $role closes with $code on $name"),
      ),
      same(
        "PUBACKs leave in the order of the messages [MQTT-4.6.0-2]",
        protocol.mqtt("acknowledged in any order are answered in order of receipt [MQTT-4.6.0-2]"),
      ),
      differs(
        "Limits that Azure does not document: time to CONNECT, packets behind CONNECT, unanswered messages, a peer that does not read",
        "30 s, 256 KB, 1,000 messages, 1 MiB for 30 s; `limits` changes them. Past them the connection ends, others notice nothing.",
        hub.mqtt("a client that sends nothing is closed after 30 s"),
        hub.mqtt("reading stops while too many receipts are open, and goes on after the commit"),
        hub.mqtt("a client that does not read is cut off, and the others are not"),
      ),
      same(
        "The will is published as telemetry with `iothub-MessageType` = `Will`, unless DISCONNECT came",
        hub.mqtt(
          "the will is published when %s",
          "the will is dropped after DISCONNECT, also when messages before it are still held",
        ),
      ),
      same(
        "A will with QoS 2 or for another topic ends the connection",
        hub.mqtt("a will with %s ends the connection"),
      ),
    ],
  },
  {
    title: "Telemetry",
    rows: [
      same(
        "`devices/{id}/messages/events/{bag}`, with and without the last `/`, for modules too",
        hub.mqtt("topic %s is telemetry"),
        vectors.topics("telemetry of a module"),
      ),
      same(
        "Property bags of every SDK: `$.` raw or encoded, one `/` at the end, `+` is a plus",
        vectors.bag(
          "Node SDK",
          "Java and hand-written: raw dollar",
          "slash at the end",
          "plus is a plus",
        ),
      ),
      same(
        "System properties: all of the documented ones",
        protocol.iothub("the table of system properties names each thing once"),
        vectors.bag("all the rest"),
      ),
      same(
        "256 KB, counted as body, system values, application names and values",
        hub.mqtt("bag %s with a body of %d bytes is taken: %s"),
      ),
      same(
        "A message that is too large, or a bag that cannot be read, closes the connection",
        hub.mqtt(
          "%s closes the connection and stores nothing",
          "a packet larger than any message is refused at its length, not buffered",
        ),
      ),
      same(
        "PUBACK only after the message is stored",
        hub.mqtt(
          "no PUBACK leaves before the commit",
          "a failed commit closes the connection without PUBACK, and the device sends again",
        ),
      ),
      same(
        "DUP does not de-duplicate: a message sent again is a second message",
        hub.mqtt("a resent message becomes a second one"),
      ),
      same(
        "RETAIN becomes the property `mqtt-retain` = `true`",
        hub.mqtt("RETAIN comes back as the property mqtt-retain, for that message only"),
      ),
      same(
        "Connection device and module id, auth method, generation id, model id, enqueued time, partition, sequence number, offset",
        hub.mqtt(
          "%s reads properties, events and everything they say",
          "a module's messages carry its id and model",
        ),
      ),
      same(
        "One device, one partition, in order: the Event Hubs hash of the device id",
        protocol.iothub("$key of $partitionCount goes to partition $partition"),
      ),
      differs(
        "2 to 32 partitions",
        "1 to 32, fixed when the data directory is made; default 4, as on Azure.",
        hub.data(
          "another number of partitions than the data has is refused, none is taken as it is",
        ),
      ),
      differs(
        "Retention 1 to 7 days",
        "`retention.hours`, any length, default 24, and by size (`retention.bytes`).",
        by.log(
          "by age deletes segments whose last record is older, the numbers go on",
          "by bytes keeps all files together under the bound, but for the one being prepared",
        ),
      ),
      same(
        "Event Hubs-compatible endpoint: runtime information, every start position, credit, all annotations and properties",
        by.hub.amqp(
          "%s reads properties, events and everything they say",
          "%s begins at %i",
          "every event's own offset and time lead back to it",
          "%s begins behind what there is",
          "nothing is sent without credit, and no more than there is",
          "events larger than the reader's frames come in parts",
        ),
      ),
      same(
        "Owner levels (epochs), five readers without one, consumer groups",
        by.hub.amqp(
          "the same or a higher level takes the partition; a lower one and none are refused",
          "five share a partition without level, a sixth does not, and a level ends them all",
          "a group is created, listed, read and deleted; names ignore case",
          "there may be twenty beside $Default, which stays",
        ),
      ),
      same(
        "Event Hubs tokens are signed with the key's text, IoT Hub's with its bytes",
        by.hub.amqp(
          "a token signed as IoT Hub's are opens no events",
          "a token for one partition opens that one only",
        ),
      ),
      same(
        "`messages/events` of the hub's own AMQP endpoint redirects",
        by.hub.amqp("the hub's own events address redirects to the Event Hubs-compatible endpoint"),
      ),
      differs(
        "Twin-change, life-cycle and connection-state events need a route",
        "`events: { twinChange, deviceLifecycle, connectionState }` of the hub's options; off by default. There are no routes.",
        by.hub.mqtt(
          "identities that come and go are told with their twin",
          "a twin change tells the changed sections with their metadata, and of an update only what changed",
          "connection states are a snapshot a minute: quick changes collapse, a return has a new number",
        ),
      ),
      absent("Message routing, enrichments, custom endpoints"),
    ],
  },
  {
    title: "Cloud-to-device messages",
    rows: [
      same(
        "The topic SDKs expect: system properties first, `%24.`, `iothub-ack` without prefix",
        hub.mqtt(
          "the topic carries the properties as SDKs read them: system first, %24, iothub-ack without prefix",
        ),
      ),
      same(
        "Messages wait for a device that is away, in order; at most 50",
        hub.mqtt(
          "messages wait for a device that is away, in order",
          "the 51st message is refused, until one has gone or run out of time",
        ),
      ),
      same(
        "Sent over AMQP: accepted when stored, or rejected with the service's condition",
        by.hub.amqp(
          "a message is accepted when it is stored, whatever types its properties have",
          "%s is rejected with the service's condition, and the link lives on",
          "the 51st message of a device is refused",
          "the official service client sends a message, the device gets it, and feedback comes back once",
        ),
      ),
      same(
        "Feedback in batches of 64 or every 15 s, locked for a minute, kept for an hour, handed out ten times",
        hub.mqtt(
          "the first comes at once, the next fifteen seconds later",
          "sixty-four records are a batch whatever the time",
          "a lock that ran out gives the batch back, and completes nothing any more",
          "hands out again what nobody completed, and never what somebody had",
          "ten times is enough",
        ),
      ),
      absent(
        "File notifications over AMQP",
        "The link is refused with `amqp:not-found`: there is no file upload.",
      ),
      same(
        "PUBACK completes; at QoS 0 writing does",
        hub.mqtt(
          "a message reaches a subscribed device and PUBACK completes it",
          "a QoS 0 subscription completes when written",
        ),
      ),
      same(
        "Unacknowledged messages come again: after a reconnect, and when the 60 s lock runs out",
        hub.mqtt(
          "what was not acknowledged comes again after a reconnect: same id, DUP, before any SUBSCRIBE",
          "a lock that runs out is renewed and the message sent again with DUP and its id",
        ),
      ),
      same(
        "Over MQTT a message is dropped by time only, never by the number of deliveries",
        hub.mqtt("a message past its time is not delivered, and not sent again"),
      ),
      same(
        "Time to live: an hour unless said, two days at most",
        hub.mqtt("a message with %s is refused to its sender"),
      ),
      same("64 KB, properties counted", hub.mqtt("properties count towards the 64 KB")),
      same(
        "Purging empties the queue and tells how many",
        hub.mqtt("purging takes back what is under way, and later messages follow"),
        hub.rest("a device shows its connection and its waiting messages; purge empties the queue"),
      ),
      same(
        "Deleting the device drops its queue",
        hub.mqtt("messages of a deleted device are not its successor's"),
      ),
      same(
        "A disabled device's queue takes messages",
        hub.mqtt("a disabled device's queue takes messages"),
      ),
      differs(
        "A message that has expired when it is sent: accepted, then dead-lettered, as users report",
        "Refused with 403009 InvalidMessageExpiryTime: its sender learns of it.",
        hub.mqtt("a message with %s is refused to its sender"),
      ),
      same(
        "Feedback (`iothub-ack`) in batches over HTTP: received under a lock, completed, abandoned",
        hub.rest(
          "feedback of purged messages comes over HTTP, once it is completed never again",
          "feedback is received, abandoned, received again and completed",
        ),
      ),
      absent("Receive, complete, abandon and reject over HTTPS"),
    ],
  },
  {
    title: "Direct methods",
    rows: [
      same(
        "`$iothub/methods/POST/{name}/?$rid={rid}`, answered on `…/res/{status}/?$rid={rid}`; any 32-bit status",
        hub.mqtt("a method request goes out and its answer comes back with status and connection"),
        hub.methods("status %d is passed on"),
      ),
      same(
        "404103 without connection or subscription, after `connectTimeoutInSeconds`; 504101 without an answer",
        hub.methods(
          "without connect timeout an absent or unsubscribed device is not online at once",
          "a connect timeout that passes is not online, a response timeout that passes is a timeout",
        ),
      ),
      same(
        "HTTP 200 whatever status the device chose; payloads pass digit by digit",
        hub.rest("a method call is answered 200 whatever the device says, digit by digit"),
      ),
      same(
        "Time-outs of 5 to 300 and 0 to 300 s, names, 128 KB: out of range is 400 or 413",
        hub.rest("a method call with %s"),
      ),
      same(
        "The refusal in the nested form (`Message` holds JSON), as SDKs expect of methods",
        hub.rest("a device that is not online is told in the nested form, as live hubs do"),
      ),
      same(
        "A late answer is dropped",
        hub.methods("an answer that comes too late, twice or to nothing is dropped"),
      ),
      same("Methods of modules", hub.methods("module methods go to the module")),
      differs(
        "A limit on calls that wait for one device (403800); its number is not documented",
        "50.",
        hub.methods(
          "a device has a bounded number of calls waiting, and the others have their own",
        ),
      ),
      differs(
        "An answer counts for the device it comes from",
        "It counts only on the connection that was asked; when that closes, the call ends at once.",
        hub.methods(
          "only the connection that was asked may answer",
          "when the asked connection closes the call ends at once; a call still waiting for it goes on",
        ),
      ),
    ],
  },
  {
    title: "Twins, as devices see them",
    rows: [
      same(
        "GET: both sections with `$version`, no metadata, no tags; the body of the request is ignored",
        hub.mqtt(
          "a twin read is handed on, whatever its body, and the answer echoes the request id",
        ),
      ),
      same(
        "Without a subscription to `$iothub/twin/res/#` no answer comes",
        hub.mqtt("twin answers and notifications go only to who subscribed"),
      ),
      same(
        "A report is answered 204 with its new `$version`",
        hub.twins(
          "a reported patch is answered 204 with its version and shows in the service's twin",
        ),
      ),
      same(
        "Errors are JSON with `errorCode`: 400, 413, 429",
        hub.twins("a reported patch with %s is refused with a JSON body and changes nothing"),
      ),
      same(
        "Desired changes are notified as they were applied, nulls and `$version` included, only while subscribed",
        hub.twins(
          "a desired patch is notified as it was applied, nulls included, and bumps version and etag",
          "a device that did not subscribe to desired properties is not told, and misses nothing it can GET",
        ),
      ),
      same(
        "A desired patch that changes nothing counts up and notifies; tags alone notify nobody",
        hub.twins(
          "a desired patch that changes nothing still bumps and notifies",
          "tags alone notify nobody",
        ),
      ),
      same(
        "Keys, depth 10, strings of 4 KB, integers within ±2^52",
        protocol.twin("refused: $name", "accepted: $name"),
      ),
      same(
        "8 KB of tags, 32 KB of desired and of reported properties, of the result",
        protocol.twin("the limit is on the result, not on the patch"),
      ),
      same(
        "Arrays are replaced whole, `null` deletes, empty objects stay",
        by.protocol.twin("$target with $patch"),
      ),
      differs(
        "Throttled at a rate",
        "At most 128 operations on one twin wait; more are answered 429.",
        hub.twins(
          "a device that asks without end is answered 429 beyond a bound, and nothing leaks",
        ),
      ),
    ],
  },
];

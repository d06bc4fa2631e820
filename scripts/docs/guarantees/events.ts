import { within } from "../compatibility/evidence.ts";
import type { Shown } from "../compatibility/evidence.ts";

const device = within("packages/device/test/");
const here = within("test/docs/");
const crash = within("test/crash/device-outbox.test.ts");
const soak = within("test/simulation/soak.test.ts");
const renewal = within("test/renewal/renewal.test.ts");
const rotation = within("test/renewal/rotation.test.ts");
const both = within("test/device-and-hub/");

/** What happens, and what becomes of a message: in memory, and with a durable outbox. */
export type Event = {
  event: string;
  qos0: readonly [memory: string, durable: string];
  qos1: readonly [memory: string, durable: string];
  shown: readonly Shown[];
};

const lost = "lost, and nobody is told";
const again = "sent again on the next connection, before anything newer; maybe twice at the hub";

export const events: readonly Event[] = [
  {
    event: "no connection when it is given",
    qos0: ["waits for one", "waits for one, on disk"],
    qos1: ["waits for one", "waits for one, on disk"],
    shown: [
      ...device("messages sent while there is no connection wait for one"),
      ...device(
        "enqueue resolves when the message is in the queue, also without a connection",
        "a backlog leaves at the drain rate, and what is urgent does not wait behind it",
      ),
      ...here("QoS 0 waits for a connection, and then goes in order (%s)"),
    ],
  },
  {
    event: "the connection breaks while it is on the way",
    qos0: [
      `${lost}; if the socket had not taken it: \`device.connection_lost\`, or after \`enqueue\` it waits`,
      `${lost}; if the socket had not taken it: \`device.connection_lost\`, or after \`enqueue\` it waits`,
    ],
    qos1: [again, again],
    shown: [
      ...device(
        "what was on the way when the connection broke is sent again, before anything newer",
        "a message sent again has all its time again",
        "QoS 0 that did not reach the socket waits for the next connection when it was enqueued",
      ),
      ...here("QoS 0 that a socket had is gone when the network is, and nobody is told"),
    ],
  },
  {
    event: "the hub never acknowledges, or the connection is half open",
    qos0: [lost, lost],
    qos1: [
      "after `retryIntervalMs` the connection counts as dead; sent again on the next",
      "after `retryIntervalMs` the connection counts as dead; sent again on the next",
    ],
    shown: [
      ...device(
        "a hub that never acknowledges: the connection is given up and the message sent again, until its time is over",
      ),
      ...here("QoS 0 that a socket had is gone when the network is, and nobody is told"),
    ],
  },
  {
    event: "a token is renewed; a key or certificate is exchanged",
    qos0: ["nothing is lost", "nothing is lost"],
    qos1: ["nothing is lost, nothing fails", "nothing is lost, nothing fails"],
    shown: [
      ...renewal(
        "${real.renewals} renewals of ${real.tokenLifetimeS}-second tokens over TLS, ${inFlight} messages in flight: nothing lost, nothing failed",
      ),
      ...rotation(
        "${rounds} exchanges of the key in use under load: nothing lost, nothing failed, nothing cut",
        "${rounds} times the files of the certificate are replaced %s under load: nothing lost, nothing failed, nothing cut",
      ),
      ...here("QoS 0 loses nothing when tokens are renewed"),
    ],
  },
  {
    event: "the hub restarts, fails over, or forgets the session",
    qos0: [`what was on the way is ${lost}`, `what was on the way is ${lost}`],
    qos1: [again, again],
    shown: [
      ...device("a hub that lost its session gets the unacknowledged messages again all the same"),
      ...crash(
        "${rounds} kills of a device with a durable outbox, and of its hub, lose nothing accepted",
      ),
    ],
  },
  {
    event: "the provisioning service moves the device to another hub, or renames it",
    qos0: ["goes to the new one", "goes to the new one"],
    qos1: [
      "goes to the new one, what was unacknowledged too",
      "goes to the new one, what was unacknowledged too",
    ],
    shown: device(
      "a hub that refuses is left for the one the service names now",
      "a renamed device sends what was on the way under its new name",
    ),
  },
  {
    event: "the process is killed",
    qos0: ["lost", "what no socket had is sent by the next process"],
    qos1: [
      "lost, unless the hub had it",
      "what was accepted is sent by the next process, in order; what was acknowledged in the last second maybe twice",
    ],
    shown: [
      ...device(
        "a message accepted while offline survives kill -9 and is sent by the next process, once it is connected",
        "what the hub acknowledged is not sent by the next process",
      ),
      ...crash(
        "${rounds} kills of a device with a durable outbox, and of its hub, lose nothing accepted",
      ),
      ...here("QoS 0 in a durable outbox is sent by the next process, unless a socket had it"),
    ],
  },
  {
    event: "the power fails",
    qos0: ["lost", "as when the process is killed"],
    qos1: [
      "lost, unless the hub had it",
      "as when the process is killed: accepted means synced to disk; a half-written end of the file is cut off",
    ],
    shown: [
      ...device("${seeds} devices lose nothing they accepted over lives that end anywhere"),
      ...soak(
        "${runs * devices * days} virtual device-days of cuts, restarts, power losses, sleeps, clock jumps and disk errors: nothing an outbox accepted is lost",
      ),
    ],
  },
  {
    event: "`close()`",
    qos0: ["goes, within 10 s or `timeoutMs`", "stays on disk when nobody waits for it"],
    qos1: [
      "finished within 10 s or `timeoutMs`; then `client.closed`",
      "what a caller waits for is finished as in memory; the rest stays on disk for the next start",
    ],
    shown: device(
      "close finishes what is under way, sends DISCONNECT and then refuses everything by name",
      "close gives up at its time-out, and what was not finished is told so",
      "close() saves what is done and keeps what is not",
    ),
  },
  {
    event: "the call's `timeoutMs` passes, or its `signal` is aborted",
    qos0: ["ends: not sent any more", "the call ends, the message goes on"],
    qos1: [
      "ends: not sent any more; the hub may have it already",
      "the call ends, the message goes on",
    ],
    shown: device(
      "a message whose caller was told it failed is not sent on the next connection",
      "with a durable outbox a call's time-out ends the call and not the message",
    ),
  },
  {
    event: "its `ttlMs` passes",
    qos0: [
      "given up: `device.dropped_expired`, `onDropped`, `stats().dropped.expired`",
      "the same; the time goes on while no process runs",
    ],
    qos1: [
      "given up: `device.dropped_expired`, `onDropped`, `stats().dropped.expired`",
      "the same; the time goes on while no process runs",
    ],
    shown: device(
      "what waits too long is given up, and told so",
      "the time to live goes on while no process runs",
    ),
  },
  {
    event: "the outbox is full (messages or bytes)",
    qos0: ["as `whenFull` says", "as `whenFull` says"],
    qos1: [
      '`"refuse"`: the new one gets `device.queue_full`, nothing accepted is lost. `"drop-oldest"`, `"drop-newest"`, `"drop-lowest-priority"`: that one is given up and told; what is on the way never is',
      "the same",
    ],
    shown: device(
      "refuses: the caller is told to slow down, nothing is lost",
      "drops the oldest: the newest are what is kept",
      "drops the newest: what happened first is kept",
      "drops the lowest priority, and the new one when nothing is lower",
      "counts bytes as well as messages",
    ),
  },
  {
    event: "the disk is full",
    qos0: [
      "does not matter",
      "refused: `device.outbox_disk_full`; what was accepted stays and goes",
    ],
    qos1: [
      "does not matter",
      "refused before it is accepted: `device.outbox_disk_full`; what was accepted stays and goes; heals by itself",
    ],
    shown: device(
      "a full disk refuses by name before anything is accepted, and heals by itself",
      "a disk that is full from the beginning is told by connect()",
    ),
  },
  {
    event: "the disk gives back something else than was written",
    qos0: ["does not matter", "as with QoS 1"],
    qos1: [
      "does not matter",
      "what can be read is sent; the rest is counted as `dropped.corrupt` and told to `onError` as `device.outbox_corrupt`",
    ],
    shown: device(
      "found at the start: it is told, what can be read is sent, and the next start finds nothing wrong",
      "found while reading: what is behind it is sent all the same",
    ),
  },
];

/** What the hub sends, and what is not telemetry. */
export const otherWay: readonly { event: string; outcome: string; shown: readonly Shown[] }[] = [
  {
    event: "a cloud-to-device message, and its handler throws, or the device dies in it",
    outcome:
      "It is acknowledged only after the handler has finished, so it comes again: on the next connection, or when the hub's lock ends. MQTT has no negative answer.",
    shown: [
      ...both(
        "a message stays in the hub's queue until its handler has finished; a cut and a reconnect meanwhile hand it over once",
        "a handler that fails leaves its message to the next connection, which says that it was there before",
      ),
    ],
  },
  {
    event: "a cloud-to-device message whose acknowledgement was lost",
    outcome: "It comes again and says `duplicate`, when it has a `messageId`.",
    shown: device("what comes again after it was completed says that it is a duplicate"),
  },
  {
    event: "cloud-to-device messages sent while the device is away",
    outcome: "The hub keeps them (`cleanSession: false`), and they come in order behind CONNACK.",
    shown: both(
      "what waited for a device comes in order right behind CONNACK, before anything is subscribed anew",
    ),
  },
  {
    event: "a desired property changes while the device is away, or a notification is lost",
    outcome: "The twin is read after every reconnect and whenever a version is missing.",
    shown: device(
      "what changed while the device was away comes as one change after the reconnect",
      "a missing notification is repaired by reading the twin: nothing is skipped, nothing told twice",
    ),
  },
  {
    event: "properties are reported without a connection",
    outcome:
      "They go as one patch after the reconnect, in the order of the calls; until then they are in memory.",
    shown: device(
      "what is reported offline goes as one after the reconnect",
      "whatever is reported and wherever the connection breaks, the hub ends with what the calls say",
    ),
  },
  {
    event: "a method is called while the connection breaks",
    outcome: "The caller gets the hub's time-out; the handler is not called a second time.",
    shown: device("an answer that comes after its connection broke harms nobody"),
  },
];

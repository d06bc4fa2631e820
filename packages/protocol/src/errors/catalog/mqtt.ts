import { group } from "./entry.ts";

/**
 * What can end an MQTT connection. The rule a peer broke stands in the remedy, as numbered in OASIS MQTT 3.1.1; where the
 * standard has no number for it, [MQTT-4.8.0-1] (close on any protocol violation) applies.
 */
export const mqttErrors = group({
  // Ends that are nobody's mistake.
  "mqtt.disconnected": {
    retryable: true,
    summary: "The connection was ended with a DISCONNECT packet.",
    remedy: "Nothing to do: this is the orderly end of a connection [MQTT-3.14.4-1].",
  },
  "mqtt.connection_lost": {
    retryable: true,
    summary: "The network connection ended without a DISCONNECT packet.",
    remedy: "Reconnect with back-off; unacknowledged QoS 1 messages are sent again [MQTT-4.4.0-1].",
  },

  // Time.
  "mqtt.connect_timeout": {
    retryable: true,
    summary: "The client opened a connection and did not send a whole CONNECT packet in time.",
    remedy:
      "Send CONNECT right after the TLS handshake; sending it byte by byte does not extend the time (§3.1.4).",
  },
  "mqtt.connack_timeout": {
    retryable: true,
    summary: "The server did not answer CONNECT with CONNACK in time.",
    remedy:
      "Reconnect with back-off; check that the port speaks MQTT and that the hub is ready [MQTT-3.2.0-1].",
  },
  "mqtt.keep_alive_timeout": {
    retryable: true,
    summary: "The server heard nothing from the client for one and a half keep alive intervals.",
    remedy:
      "Send PINGREQ within every keep alive interval, also while only receiving [MQTT-3.1.2-24].",
  },
  "mqtt.ping_timeout": {
    retryable: true,
    summary: "The server did not answer PINGREQ in time: the connection is taken for dead.",
    remedy: "Reconnect; on slow links raise keepAliveS [MQTT-3.12.4-1].",
  },

  // CONNACK with a refusal, one code for each return code.
  "mqtt.refused_protocol_version": {
    retryable: false,
    summary: "CONNECT was refused with return code 1: unacceptable protocol version.",
    remedy: "Use MQTT 3.1.1 (protocol name MQTT, level 4).",
    connack: 1,
  },
  "mqtt.refused_identifier": {
    retryable: false,
    summary: "CONNECT was refused with return code 2: client identifier rejected.",
    remedy: "Use the device id (for a module deviceId/moduleId) as the client id.",
    connack: 2,
  },
  "mqtt.refused_unavailable": {
    retryable: true,
    summary: "CONNECT was refused with return code 3: server unavailable.",
    remedy: "Try again with back-off; the hub is busy, throttling or starting.",
    connack: 3,
  },
  "mqtt.refused_credentials": {
    retryable: false,
    summary: "CONNECT was refused with return code 4: bad user name or password.",
    remedy:
      "Use {host}/{deviceId}/?api-version=2021-04-12 as user name and the whole SharedAccessSignature … text as password.",
    connack: 4,
  },
  "mqtt.refused_not_authorized": {
    retryable: false,
    summary: "CONNECT was refused with return code 5: not authorized.",
    remedy:
      "Check the key or certificate, the token's scope and expiry, the device's clock, and that the device exists and is enabled.",
    connack: 5,
  },
  "mqtt.refused_unknown": {
    retryable: false,
    summary: "CONNECT was refused with a return code that MQTT 3.1.1 does not define.",
    remedy: "Check that the server speaks MQTT 3.1.1; codes 6 to 255 are reserved (§3.2.2.3).",
  },

  // Framing.
  "mqtt.packet_type_reserved": {
    retryable: false,
    summary: "The peer sent a packet of type 0 or 15, which MQTT 3.1.1 forbids.",
    remedy: "Speak MQTT 3.1.1; type 15 (AUTH) belongs to MQTT 5 (§2.2.1, [MQTT-4.8.0-1]).",
  },
  "mqtt.flags_reserved": {
    retryable: false,
    summary: "The reserved flag bits of a fixed header are not what the packet type demands.",
    remedy:
      "Set them as table 2.2 says: 0010 for PUBREL, SUBSCRIBE and UNSUBSCRIBE, otherwise 0000 [MQTT-2.2.2-2].",
  },
  "mqtt.remaining_length_malformed": {
    retryable: false,
    summary: "The remaining length of a packet has more than four bytes.",
    remedy: "Encode it in one to four bytes of seven bits each (§2.2.3, [MQTT-4.8.0-1]).",
  },
  "mqtt.packet_too_large": {
    retryable: false,
    summary: "A packet announces more bytes than this end accepts; it was refused at its length.",
    remedy: "Send smaller messages: IoT Hub takes 256 KB from a device and sends 64 KB to one.",
  },
  "mqtt.packet_truncated": {
    retryable: false,
    summary: "A field runs past the end of its packet.",
    remedy: "Make the remaining length cover all fields of the packet (§2.2.3, [MQTT-4.8.0-1]).",
  },
  "mqtt.packet_trailing_bytes": {
    retryable: false,
    summary: "A packet has bytes behind its last field.",
    remedy: "Make the remaining length end with the last field (§2.2.3, [MQTT-4.8.0-1]).",
  },
  "mqtt.packet_wrong_direction": {
    retryable: false,
    summary: "The peer sent a packet that only the other side may send.",
    remedy:
      "Clients send CONNECT, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT; servers their answers (§2.2.1, [MQTT-4.8.0-1]).",
  },
  "mqtt.packet_id_zero": {
    retryable: false,
    summary: "A packet that needs a packet identifier carries 0.",
    remedy: "Use 1 to 65535 [MQTT-2.3.1-1].",
  },
  "mqtt.string_not_utf8": {
    retryable: false,
    summary:
      "A string is not well-formed UTF-8 (overlong forms and surrogates count as ill-formed).",
    remedy: "Encode strings as UTF-8 of Unicode 6.0 [MQTT-1.5.3-1].",
  },
  "mqtt.string_null": {
    retryable: false,
    summary: "A string contains the character U+0000.",
    remedy: "Leave it out [MQTT-1.5.3-2].",
  },

  // CONNECT.
  "mqtt.connect_expected": {
    retryable: false,
    summary: "The first packet of the connection was not CONNECT.",
    remedy: "Send CONNECT first [MQTT-3.1.0-1].",
  },
  "mqtt.connect_repeated": {
    retryable: false,
    summary: "A second CONNECT came on the same connection.",
    remedy: "Send CONNECT once per network connection [MQTT-3.1.0-2].",
  },
  "mqtt.pipeline_overflow": {
    retryable: true,
    summary: "The client sent too many bytes behind CONNECT before it was answered.",
    remedy: "Wait for CONNACK before sending more than a few packets (§3.1.4).",
  },
  "mqtt.protocol_name": {
    retryable: false,
    summary: "CONNECT carries a protocol name that is not MQTT.",
    remedy: "Use the protocol name MQTT [MQTT-3.1.2-1].",
  },
  "mqtt.protocol_version": {
    retryable: false,
    summary: "CONNECT carries a protocol level other than 4; it was answered with return code 1.",
    remedy: "Set the client to MQTT 3.1.1 (level 4), not 3.1 or 5 [MQTT-3.1.2-2].",
    connack: 1,
  },
  "mqtt.connect_flag_reserved": {
    retryable: false,
    summary: "The reserved bit of the CONNECT flags is set.",
    remedy: "Set bit 0 of the connect flags to 0 [MQTT-3.1.2-3].",
  },
  "mqtt.will_flags": {
    retryable: false,
    summary: "CONNECT sets will QoS or will retain without a will, or a will QoS of 3.",
    remedy:
      "Without a will both are 0 [MQTT-3.1.2-13] [MQTT-3.1.2-15]; with one QoS is at most 2 [MQTT-3.1.2-14].",
  },
  "mqtt.password_without_username": {
    retryable: false,
    summary: "CONNECT carries a password but no user name.",
    remedy: "Send a user name with every password [MQTT-3.1.2-22].",
  },

  // PUBLISH.
  "mqtt.qos_reserved": {
    retryable: false,
    summary: "A PUBLISH has both QoS bits set.",
    remedy: "Use QoS 0 or 1 [MQTT-3.3.1-4].",
  },
  "mqtt.qos2": {
    retryable: false,
    summary: "The peer used QoS 2, which IoT Hub does not serve: it closes the connection.",
    remedy: "Publish with QoS 0 or 1 (Azure IoT Hub docs, MQTT support).",
  },
  "mqtt.dup_qos0": {
    retryable: false,
    summary: "A PUBLISH with QoS 0 has the DUP flag set.",
    remedy: "Set DUP only when sending a QoS 1 message again [MQTT-3.3.1-2].",
  },
  "mqtt.topic_wildcard": {
    retryable: false,
    summary: "A topic name contains a wildcard, # or +.",
    remedy:
      "Percent-encode property values (%23, %2B); wildcards belong in filters only [MQTT-3.3.2-2].",
  },
  "mqtt.topic_empty": {
    retryable: false,
    summary: "A topic name or filter has no characters.",
    remedy: "Use at least one character [MQTT-4.7.3-1].",
  },

  // SUBSCRIBE and UNSUBSCRIBE.
  "mqtt.subscribe_empty": {
    retryable: false,
    summary: "A SUBSCRIBE names no filter.",
    remedy: "Name at least one filter [MQTT-3.8.3-3].",
  },
  "mqtt.subscribe_qos": {
    retryable: false,
    summary: "A SUBSCRIBE asks for QoS 3 or sets reserved bits beside the QoS.",
    remedy: "Ask for QoS 0 or 1 and leave the upper six bits 0 [MQTT-3-8.3-4].",
  },
  "mqtt.unsubscribe_empty": {
    retryable: false,
    summary: "An UNSUBSCRIBE names no filter.",
    remedy: "Name at least one filter [MQTT-3.10.3-2].",
  },
  "mqtt.filter_malformed": {
    retryable: false,
    summary: "A topic filter has a wildcard in a forbidden place.",
    remedy: "# stands alone at the end [MQTT-4.7.1-2], + takes a whole level [MQTT-4.7.1-3].",
  },

  // What only a server can get wrong.
  "mqtt.connack_expected": {
    retryable: true,
    summary: "The first packet of the server was not CONNACK.",
    remedy: "Check that host and port belong to an MQTT server [MQTT-3.2.0-1].",
  },
  "mqtt.connack_repeated": {
    retryable: true,
    summary: "The server sent a second CONNACK on the same connection.",
    remedy: "Report it to the server's maker; reconnecting may help [MQTT-4.8.0-1].",
  },
  "mqtt.connack_malformed": {
    retryable: true,
    summary:
      "The acknowledge flags of CONNACK are not allowed: reserved bits, or session present in a refusal.",
    remedy: "Report it to the server's maker (§3.2.2.1, [MQTT-3.2.2-4]).",
  },
  "mqtt.suback_malformed": {
    retryable: true,
    summary: "A SUBACK has a return code that was not asked for, or not one per filter.",
    remedy: "Report it to the server's maker [MQTT-3.8.4-5] [MQTT-3.9.3-2].",
  },
});

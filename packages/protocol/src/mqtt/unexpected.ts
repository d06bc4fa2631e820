import { PacketType, packetName } from "./codec/packet-type.ts";
import { Violation } from "./codec/violation.ts";

/** Why a packet that this end never takes in the open state is a violation. */
export function unexpected(header: number, sender: "client" | "server"): Violation {
  const type = header >> 4;
  if (sender === "client" && type === PacketType.connect) {
    return new Violation("mqtt.connect_repeated", "a second CONNECT on one connection");
  }
  if (sender === "server" && type === PacketType.connack) {
    return new Violation("mqtt.connack_repeated", "a second CONNACK on one connection");
  }
  const name = packetName(header);
  if (type >= PacketType.pubrec && type <= PacketType.pubcomp) {
    return new Violation("mqtt.qos2", `${name} belongs to QoS 2`);
  }
  return new Violation("mqtt.packet_wrong_direction", `a ${sender} sent ${name}`);
}

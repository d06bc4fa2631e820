import { Violation } from "./violation.ts";

/** Rules for a topic name, beyond being a string (§4.7). */
export function checkTopicName(topic: string): Violation | undefined {
  if (topic.length === 0) return new Violation("mqtt.topic_empty", "a topic name is empty");
  for (let i = 0; i < topic.length; i++) {
    const unit = topic.charCodeAt(i);
    if (unit === 0x23 || unit === 0x2b) {
      const wildcard = String.fromCharCode(unit);
      return new Violation(
        "mqtt.topic_wildcard",
        `a topic name contains ${wildcard} at position ${i}`,
      );
    }
  }
  return undefined;
}

/** Rules for a topic filter: where its wildcards may stand [MQTT-4.7.1-2] [MQTT-4.7.1-3]. */
export function checkTopicFilter(filter: string): Violation | undefined {
  if (filter.length === 0) return new Violation("mqtt.topic_empty", "a topic filter is empty");
  const levels = filter.split("/");
  const last = levels.length - 1;
  for (const [i, level] of levels.entries()) {
    if (level === "+" || (level === "#" && i === last)) continue;
    if (level.includes("+") || level.includes("#")) {
      return new Violation(
        "mqtt.filter_malformed",
        `a topic filter has a misplaced wildcard in level ${i + 1}`,
      );
    }
  }
  return undefined;
}

/** FNV-1a over a topic and a payload: tells a repeated message from another one under the same packet identifier. */
export function fingerprint(topic: string, bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < topic.length; i++) hash = Math.imul(hash ^ topic.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ 0x10000, 0x01000193);
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash;
}

/** A peer's text for a message: printable, and not long. */
export function printable(text: string, lengthMax = 120): string {
  const clean = text.replaceAll(/[^\x21-\x7e]+/g, " ").trim();
  return clean.length > lengthMax ? `${clean.slice(0, lengthMax)}…` : clean;
}

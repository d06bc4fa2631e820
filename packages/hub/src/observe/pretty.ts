const marks: Readonly<Record<string, string>> = {
  debug: "debug",
  info: "info ",
  warn: "WARN ",
  error: "ERROR",
};

/** These say what the sentence says already, or come first. */
const left = new Set(["level", "time", "msg", "event", "remedy", "reason", "code"]);

/**
 * One line for people out of one of pino's objects: `14:03:07 WARN  A CONNECT was refused: reason [code] deviceId=d1`, with the remedy on a
 * line of its own. Control characters are escaped: nobody writes lines into the log by choosing a client id.
 */
export function prettyLine(line: unknown): string {
  const { level, time, msg, reason, code, remedy, ...rest } = line as Record<string, unknown>;
  const clock = String(time).slice(11, 19);
  const because = reason === undefined ? "" : `: ${text(reason)}`;
  const named = code === undefined ? "" : ` [${text(code)}]`;
  const facts = Object.entries(rest)
    .filter(([name]) => !left.has(name))
    .map(([name, value]) => ` ${name}=${text(value)}`)
    .join("");
  const advice = remedy === undefined ? "" : `\n         what to do: ${text(remedy)}`;
  const mark = marks[String(level)] ?? String(level);
  return `${clock} ${mark} ${text(msg)}${because}${named}${facts}${advice}\n`;
}

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

function text(value: unknown): string {
  const plain = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return plain.replaceAll(control, (unit) => {
    const code = unit.charCodeAt(0).toString(16).padStart(4, "0");
    return `\\u${code}`;
  });
}

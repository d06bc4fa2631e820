import { callNames, faultGroups } from "../../packages/device/test/hostile/outcomes.ts";

type Fault = (typeof faultGroups)[number]["faults"][number];

const cell = (text: string): string => text.replaceAll("|", String.raw`\|`);
const code = (text: string): string => `\`${text}\``;

const waits = "messages, first";

/** Calls by the code they end with; those that work are not worth a word. */
function failures({ outcomes }: Fault): string {
  const byCode = new Map<string, string[]>();
  for (const [i, outcome] of outcomes.entries()) {
    // Here nobody sends a message, so the loop has nothing to fail for.
    if (outcome === "value" || (outcome === "call.aborted" && callNames[i] === waits)) continue;
    byCode.set(outcome, [...(byCode.get(outcome) ?? []), callNames[i] ?? ""]);
  }
  const parts = [...byCode].map(([outcome, names]) => `${code(outcome)}: ${names.join("; ")}`);
  return parts.length === 0 ? "none" : parts.join("<br>");
}

const row = (fault: Fault): string =>
  `| ${cell(fault.name)} | ${cell(fault.client)} | ${fault.status.map(code).join(", ")} | ${cell(failures(fault))} |`;

/** The page `docs/faults.md`. */
export function renderFaults(): string {
  const count = faultGroups.reduce((sum, { faults }) => sum + faults.length, 0);
  const tables = faultGroups.map(
    ({ title, faults }) =>
      `## ${title}\n\n| the hub | the client | \`status()\` names | calls that fail meanwhile |\n| --- | --- | --- | --- |\n${faults.map(row).join("\n")}\n`,
  );
  return `# When the hub misbehaves

What the device client does about ${count} kinds of trouble, and what becomes of ${callNames.length} calls in each. Every cell is a test
([faults](../packages/device/test/hostile/faults.test.ts)): the call is made with a deadline of 40 seconds while the hub misbehaves,
settles by then as it says here, and once the hub behaves again the client works again within the longest wait of its back-off.

Calls that are not named end well. \`call.timeout\` is the call's own deadline: with more time it goes on waiting, and ends well when the hub does.
The loop of \`desiredProperties\` has no deadline, because it waits for news; here its signal ends it with \`call.aborted\`. The loop of
\`messages\` waits until there is a message, whatever the hub does.
\`enqueue\` ends well whatever the hub does: the message is in the outbox, and leaves it when the hub has acknowledged.

${tables.join("\n")}`;
}

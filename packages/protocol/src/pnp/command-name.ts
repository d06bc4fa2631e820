import { IotError } from "../errors/iot-error.ts";
import { checkDtdlName } from "./component-patch.ts";

/**
 * The direct method that stands for a command: `component*command`, or the command alone on the default component.
 * @throws IotError `argument.invalid`
 * @see Microsoft docs, "IoT Plug and Play conventions", Commands
 */
export function formatCommandName(component: string | undefined, command: string): string {
  checkDtdlName("command", command);
  if (component === undefined) return command;
  checkDtdlName("component", component);
  return `${component}*${command}`;
}

/** Reads a method name as a command; every name is one, on the default component when it has no `*`. */
export function parseCommandName(name: string): { component: string | undefined; command: string } {
  const star = name.indexOf("*");
  if (star < 0) return { component: undefined, command: name };
  if (star === 0 || star === name.length - 1 || name.includes("*", star + 1)) {
    throw new IotError("argument.invalid", "A command's name is component*command");
  }
  return { component: name.slice(0, star), command: name.slice(star + 1) };
}

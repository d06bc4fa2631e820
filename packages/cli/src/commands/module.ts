import type { Module } from "@hubwire/service";
import type { Command } from "commander";
import { contextOf, withService } from "../context.ts";
import { interruptible } from "../interrupt.ts";
import { table } from "../output.ts";
import {
  authenticationOf,
  connectionStringFor,
  lastActivity,
  type CreateOptions,
} from "./device.ts";

type WriteOptions = CreateOptions & { managedBy?: string };

export function addModuleCommands(program: Command): void {
  const module = program
    .command("module")
    .description("register modules of devices and look at them");

  withAuthentication(
    module
      .command("create <deviceId> <moduleId>")
      .description("register a module and print its connection string"),
  )
    .addHelpText("after", "\nExample:\n  $ hubwire module create gateway-1 logger")
    .action((deviceId: string, moduleId: string, options: WriteOptions, command: Command) =>
      interruptible(async (signal) => {
        const context = contextOf(command);
        const write = {
          ...writeOf(deviceId, moduleId, options),
          authentication: authenticationOf(options),
        };
        const target = context.target();
        const created = await withService(target, ({ modules }) =>
          modules.create(write, { signal }),
        );
        const connectionString = connectionStringFor(target, created);
        const caFile = target.caFile ?? null;
        context.output.line(connectionString, { module: created, connectionString, caFile });
        if (caFile !== null) context.output.note(`CA file: ${caFile}`);
      }),
    );

  module
    .command("show <deviceId> <moduleId>")
    .description("one module: state, authentication and connection string")
    .addHelpText("after", "\nExample:\n  $ hubwire module show gateway-1 logger")
    .action((deviceId: string, moduleId: string, _options: object, command: Command) =>
      interruptible(async (signal) => {
        const context = contextOf(command);
        const target = context.target();
        const found = await withService(target, ({ modules }) =>
          modules.get(deviceId, moduleId, { signal }),
        );
        const connectionString = connectionStringFor(target, found);
        context.output.line(
          table([
            ["module", `${found.deviceId}/${found.moduleId}`],
            ["managed by", found.managedBy || "-"],
            ["connection", found.connectionState],
            ["authentication", found.authentication.type],
            ["last activity", lastActivity(found.lastActivityTime)],
            ["connection string", connectionString],
          ]),
          { module: found, connectionString },
        );
      }),
    );

  module
    .command("list <deviceId>")
    .description("all modules of a device")
    .addHelpText("after", "\nExample:\n  $ hubwire module list gateway-1 --json")
    .action((deviceId: string, _options: object, command: Command) =>
      interruptible(async (signal) => {
        const { output, target } = contextOf(command);
        const found = await withService(target(), ({ modules }) =>
          modules.list(deviceId, { signal }),
        );
        if (output.json) {
          for (const one of found) output.line("", one);
          return;
        }
        if (found.length === 0) {
          output.note(`No modules yet. Create one: hubwire module create ${deviceId} my-module`);
          return;
        }
        output.line(
          table([["MODULE", "CONNECTION", "AUTHENTICATION", "MANAGED BY"], ...found.map(rowOf)]),
          found,
        );
      }),
    );

  withAuthentication(
    module
      .command("update <deviceId> <moduleId>")
      .description("change who manages a module, or give it other credentials")
      .option("--new-keys", "make two new keys; the old ones end at once")
      .option("--if-match <etag>", "only if the module still has this etag"),
  )
    .addHelpText(
      "after",
      `\nExamples:
  $ hubwire module update gateway-1 logger --managed-by factory
  $ hubwire module update gateway-1 logger --new-keys`,
    )
    .action((deviceId: string, moduleId: string, options: UpdateOptions, command: Command) =>
      interruptible(async (signal) => {
        const context = contextOf(command);
        const target = context.target();
        const isRekeyed =
          options.newKeys === true || options.thumbprint !== undefined || options.caSigned === true;
        const updated = await withService(target, async ({ modules }) => {
          const current = await modules.get(deviceId, moduleId, { signal });
          const { ifMatch = current.etag } = options;
          return modules.update(
            {
              ...current,
              ...writeOf(deviceId, moduleId, options),
              ...(isRekeyed ? { authentication: authenticationOf(options) } : {}),
            },
            { ifMatch, signal },
          );
        });
        const connectionString = connectionStringFor(target, updated);
        context.output.line(
          isRekeyed ? connectionString : `Updated ${deviceId}/${moduleId}: etag ${updated.etag}.`,
          { module: updated, connectionString },
        );
      }),
    );

  module
    .command("delete <deviceId> <moduleId>")
    .description("delete a module with its twin")
    .addHelpText("after", "\nExample:\n  $ hubwire module delete gateway-1 logger")
    .action((deviceId: string, moduleId: string, _options: object, command: Command) =>
      interruptible(async (signal) => {
        const { output, target } = contextOf(command);
        await withService(target(), ({ modules }) =>
          modules.delete(deviceId, moduleId, { signal }),
        );
        output.line(`Deleted ${deviceId}/${moduleId}.`, { deleted: { deviceId, moduleId } });
      }),
    );
}

type UpdateOptions = WriteOptions & { newKeys?: boolean; ifMatch?: string };

const withAuthentication = (command: Command): Command =>
  command
    .option("--managed-by <name>", "who looks after it; free text")
    .option("--thumbprint <hex>", "X.509: SHA-1 or SHA-256 thumbprint of its certificate")
    .option("--secondary-thumbprint <hex>", "X.509: a second accepted thumbprint")
    .option("--ca-signed", "X.509: any certificate with CN = device/module signed by a trusted CA");

const writeOf = (deviceId: string, moduleId: string, { managedBy }: WriteOptions) => ({
  deviceId,
  moduleId,
  ...(managedBy === undefined ? {} : { managedBy }),
});

const rowOf = (found: Module): string[] => [
  found.moduleId,
  found.connectionState,
  found.authentication.type,
  found.managedBy || "-",
];

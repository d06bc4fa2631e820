import { IotError } from "@hubwire/protocol";
import { ckr, ckrOf } from "./ckr.ts";
import { native } from "./native.ts";
import type { Module } from "./native.ts";

const loaded = new Map<string, Module>();

/**
 * The PKCS#11 module of this path, loaded and started. Once per process and never stopped: C_Finalize would take it away from
 * everybody else in the process, libp11's engine included.
 * @throws IotError `pkcs11.library`
 */
export function openModule(library: string): Module {
  const known = loaded.get(library);
  if (known !== undefined) return known;
  const module = new native.PKCS11();
  try {
    module.load(library);
  } catch (cause) {
    throw unusable(library, "cannot be loaded", cause);
  }
  startModule(module, library);
  loaded.set(library, module);
  return module;
}

/**
 * Starts a module that nobody started yet, or that somebody stopped.
 * @throws IotError `pkcs11.library`
 */
export function startModule(module: Module, library: string): void {
  try {
    // Signatures are made on other threads than this one.
    module.C_Initialize({ flags: native.CKF_OS_LOCKING_OK });
  } catch (cause) {
    // libp11's engine, or another part of the program, was first. They share it.
    if (ckrOf(cause) === ckr.CRYPTOKI_ALREADY_INITIALIZED) return;
    throw unusable(library, "does not start", cause);
  }
}

function unusable(library: string, how: string, cause: unknown): IotError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new IotError("pkcs11.library", `The PKCS#11 module ${library} ${how}: ${why}`, { cause });
}

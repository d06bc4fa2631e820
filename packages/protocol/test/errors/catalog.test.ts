import { describe, expect, test } from "vitest";
import { catalog, hubErrorCodes } from "../../src/index.ts";
import type { CatalogEntry } from "../../src/index.ts";
import { connectionStringErrors } from "../../src/errors/catalog/connection-string.ts";
import { hubErrors } from "../../src/errors/catalog/hub.ts";
import { sasErrors } from "../../src/errors/catalog/sas.ts";
import { topicErrors } from "../../src/errors/catalog/topic.ts";
import { twinErrors } from "../../src/errors/catalog/twin.ts";

const entries: [string, CatalogEntry][] = Object.entries(catalog);
const names: Readonly<Record<string, string>> = hubErrorCodes;

describe("the error catalogue", () => {
  test.each(entries)("%s says what happened and what to do", (code, entry) => {
    expect(code).toMatch(/^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/);
    expect(entry.summary).toMatch(/^\S.*\.$/);
    expect(entry.remedy).toMatch(/^\S/);
  });

  test.each(entries.filter(([, entry]) => entry.http !== undefined))(
    "%s has the face Azure gives it on HTTP",
    (_, { http }) => {
      expect(Math.floor((http?.code ?? 0) / 1000)).toBe(http?.status);
      expect(names[String(http?.code)]).toBe(http?.name);
    },
  );

  test("no group hides a code of another", () => {
    const groups = [connectionStringErrors, sasErrors, topicErrors, twinErrors, hubErrors];
    for (const group of groups) {
      for (const [code, entry] of Object.entries(group)) {
        expect(catalog[code as keyof typeof catalog]).toBe(entry);
      }
    }
  });

  test("refused credentials are CONNACK 5; 2 is for the empty client id alone", () => {
    const auth = entries.filter(([code, entry]) => code.startsWith("auth.") && entry.connack);
    expect(auth.length).toBeGreaterThan(20);
    for (const [code, entry] of auth) {
      expect([code, entry.connack]).toEqual([code, code === "auth.client_id_empty" ? 2 : 5]);
    }
  });

  test("an expired token's remedy sends people to the clock", () => {
    expect(catalog["auth.token_expired"].remedy).toContain("clock");
  });
});

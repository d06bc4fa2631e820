import type { Hono } from "hono";
import type { Certificates } from "../../domain/certificates/index.ts";
import { formatCa, parseCaBody } from "./certificate-json.ts";
import type { RestRequest } from "./exchange.ts";
import { Failure } from "./failure.ts";
import { parseBody, readJsonBytes } from "./json-body.ts";
import { IotError } from "@hubwire/protocol";

type Env = { Bindings: { request: RestRequest } };

const bodyBytesMax = 128 * 1024;

/**
 * The hub's CAs. Azure keeps them with its resource manager, which a hub of one's own does not have; the bodies are the same.
 *
 * | address | permission | answer |
 * | --- | --- | --- |
 * | `GET /hubwire/certificates` | RegistryRead | 200 `{"value":[ca…]}` |
 * | `GET …/{name}` | RegistryRead | 200 ca |
 * | `PUT …/{name}` | RegistryReadWrite | 200 ca; with If-Match replaces |
 * | `DELETE …/{name}` | RegistryReadWrite | 204 |
 * | `POST …/{name}/generateVerificationCode` | RegistryReadWrite | 200 ca with `verificationCode` |
 * | `POST …/{name}/verify` | RegistryReadWrite | 200 ca; body `{"certificate"}` |
 */
export function addCertificateRoutes(
  app: Hono<Env>,
  certificates: Certificates,
  authorize: (
    request: RestRequest,
    permission: "RegistryRead" | "RegistryReadWrite",
  ) => Promise<void>,
): void {
  const root = "/hubwire/certificates";
  const one = `${root}/:name`;

  app.get(root, async (c) => {
    await authorize(c.env.request, "RegistryRead");
    return c.json({ value: (await certificates.list()).map(formatCa) });
  });
  app.get(one, async (c) => {
    await authorize(c.env.request, "RegistryRead");
    return c.json(formatCa(await certificates.find(c.req.param("name"))));
  });
  app.put(one, async (c) => {
    const { request } = c.env;
    await authorize(request, "RegistryReadWrite");
    const { pem, isVerified } = parseCaBody(parseBody(await readJsonBytes(request, bodyBytesMax)));
    const name = c.req.param("name");
    return c.json(formatCa(await certificates.upload(name, pem, isVerified, ifMatchOf(request))));
  });
  app.delete(one, async (c) => {
    const { request } = c.env;
    await authorize(request, "RegistryReadWrite");
    await certificates.delete(c.req.param("name"), ifMatchOf(request));
    return c.body(null, 204);
  });
  app.post(`${one}/generateVerificationCode`, async (c) => {
    const { request } = c.env;
    await authorize(request, "RegistryReadWrite");
    const ca = await certificates.generateCode(c.req.param("name"), ifMatchOf(request));
    return c.json(formatCa(ca));
  });
  app.post(`${one}/verify`, async (c) => {
    const { request } = c.env;
    await authorize(request, "RegistryReadWrite");
    const { pem } = parseCaBody(parseBody(await readJsonBytes(request, bodyBytesMax)));
    const ca = await certificates.verify(c.req.param("name"), pem, ifMatchOf(request));
    return c.json(formatCa(ca));
  });
  const allowed: Readonly<Record<string, string>> = {
    [root]: "GET",
    [one]: "GET, PUT, DELETE",
    [`${one}/generateVerificationCode`]: "POST",
    [`${one}/verify`]: "POST",
  };
  for (const [path, allow] of Object.entries(allowed)) {
    app.all(path, () => {
      const error = new IotError("route.method_not_allowed", `This address takes ${allow}`);
      throw new Failure(error, { headers: { allow } });
    });
  }
}

function ifMatchOf({ headers }: RestRequest): string | undefined {
  const header = headers["if-match"]?.trim();
  if (header === undefined || header === "") return undefined;
  return /^(?:W\/)?"(.*)"$/u.exec(header)?.[1] ?? header;
}

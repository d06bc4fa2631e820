import { connect, createSecureContext } from "node:tls";
import type { TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { ChainMemory } from "../src/chain-memory.ts";
import { certificates, cleanUp, connectTo, startServer } from "./tls-world.ts";

const { root } = certificates;
const middle = await certificates.ca({ cn: "Fleet CA", issuer: root });
const lower = await certificates.ca({ cn: "Factory CA", issuer: middle });
const versions = ["TLSv1.2", "TLSv1.3"] as const;

test.each(versions)(
  "a client certificate is extracted as it was presented (%s)",
  async (maxVersion) => {
    const server = await startServer();
    const device = await certificates.issue({ cn: "Device-1/module", issuer: lower });
    await connectTo(server.port, {
      cert: device.cert,
      key: device.key,
      chain: device.chain,
      maxVersion,
    });
    const { certificate } = (await server.nextStream()).stream.peer;
    expect(certificate).toMatchObject({
      commonName: "Device-1/module",
      sha1Thumbprint: device.sha1Thumbprint,
      sha256Thumbprint: device.sha256Thumbprint,
      validFromMs: device.notBefore.getTime() - device.notBefore.getMilliseconds(),
      validToMs: device.notAfter.getTime() - device.notAfter.getMilliseconds(),
    });
    expect(Buffer.from(certificate?.raw ?? [])).toEqual(Buffer.from(device.raw));
    const chain = certificate?.chain.map((der) => Buffer.from(der));
    expect(chain).toEqual([Buffer.from(lower.raw), Buffer.from(middle.raw)]);
  },
);

const lettingIn = [
  { name: "self-signed", identity: await certificates.selfSigned({ cn: "own" }) },
  {
    name: "expired",
    identity: await certificates.issue({ cn: "old", notBefore: new Date(0), days: 1 }),
  },
  {
    name: "without its intermediates",
    identity: await certificates.issue({ cn: "bare", issuer: lower }),
  },
];

test.each(lettingIn)(
  "a certificate that is $name comes through: the hub decides",
  async ({ identity }) => {
    const server = await startServer();
    await connectTo(server.port, { cert: identity.cert, key: identity.key });
    const { certificate } = (await server.nextStream()).stream.peer;
    expect(certificate).toMatchObject({ sha256Thumbprint: identity.sha256Thumbprint });
  },
);

test("a root that is sent along ends the chain, though it is its own issuer", async () => {
  const server = await startServer();
  const device = await certificates.issue({ cn: "device", issuer: middle });
  await connectTo(server.port, { ...pairOf(device), chain: [middle.cert, root.cert] });
  const { certificate } = (await server.nextStream()).stream.peer;
  expect(certificate?.chain.map((der) => Buffer.from(der))).toEqual([
    Buffer.from(middle.raw),
    Buffer.from(root.raw),
  ]);
});

test.each(versions)(
  "a session resumed by a foreign client still has the chain it began with (%s)",
  async (maxVersion) => {
    const server = await startServer();
    const device = await certificates.issue({ cn: "device", issuer: lower });
    const context = createSecureContext({
      ca: root.cert,
      cert: device.fullChain,
      key: device.key,
      maxVersion,
    });
    const dial = async (
      session?: Buffer,
    ): Promise<{ socket: TLSSocket; ticket: Promise<Buffer> }> => {
      const target = { host: "127.0.0.1", port: server.port, secureContext: context };
      const socket = cleanUp(connect({ ...target, ...(session && { session }) }));
      const ticket = new Promise<Buffer>((resolve) => socket.once("session", resolve));
      socket.resume();
      await new Promise((resolve) => socket.once("secureConnect", resolve));
      return { socket, ticket };
    };
    const first = await dial();
    const second = await dial(await first.ticket);
    expect(second.socket.isSessionReused()).toBe(true);
    const [before, after] = [await server.nextStream(), await server.nextStream()];
    expect(before.stream.peer.certificate?.chain).toHaveLength(2);
    expect(after.stream.peer.certificate).toEqual(before.stream.peer.certificate);
  },
);

test("the memory of chains is bounded, and forgets first what was not used for longest", () => {
  const memory = new ChainMemory({ leavesMax: 2, chainsMax: 2, chainBytesMax: 10 });
  const [a, b, c] = [1, 2, 3].map((byte) => [Uint8Array.of(byte)]);
  if (a === undefined || b === undefined || c === undefined) throw new Error("unreachable");
  memory.remember("leaf a", a);
  memory.remember("leaf b", b);
  expect(memory.recall("leaf a")).toEqual(a);
  memory.remember("leaf c", c);
  expect([memory.recall("leaf a"), memory.recall("leaf b"), memory.recall("leaf c")]).toEqual([
    a,
    [],
    c,
  ]);
  memory.remember("leaf d", [new Uint8Array(11)]);
  expect(memory.recall("leaf d")).toEqual([]);
});

function pairOf(identity: { cert: string; key: string }): { cert: string; key: string } {
  return { cert: identity.cert, key: identity.key };
}

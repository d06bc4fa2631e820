import { connect } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { SecureContext } from "node:tls";
import { IotError } from "@hubwire/protocol";
import { socketStep } from "../dial-attempt.ts";
import type { DialAttempt } from "../dial-attempt.ts";
import { wordsOf } from "../socket-errors.ts";
import { connectError } from "../tls-errors.ts";
import { secureOptions } from "../tls-sockets.ts";
import { HttpConnect } from "./http-connect.ts";
import { describeProxy } from "./proxy-address.ts";
import type { ProxyAddress } from "./proxy-address.ts";
import { runTalk } from "./proxy-talk.ts";
import { SocksConnect } from "./socks.ts";

/**
 * A tunnel to the attempt's host and port, whose name the proxy resolves. `context` is for the proxy's own certificate:
 * the same trust as for the hub, without a client certificate.
 */
export async function openThroughProxy(
  proxy: ProxyAddress,
  attempt: DialAttempt,
  context: SecureContext,
): Promise<Socket> {
  const who = describeProxy(proxy);
  const talk =
    proxy.kind === "socks5" ? new SocksConnect(proxy, attempt) : new HttpConnect(proxy, attempt);
  attempt.via = ` through the ${who}`;
  attempt.phase = "the connection to the proxy";
  const socket = await reach(proxy, attempt, context);
  attempt.phase = "the proxy's handshake";
  await runTalk(socket, talk, attempt, who);
  return socket;
}

function reach(proxy: ProxyAddress, attempt: DialAttempt, context: SecureContext): Promise<Socket> {
  const { kind, host, port } = proxy;
  const isTls = kind === "https";
  const socket = isTls
    ? connectTls({ host, port, ...secureOptions(host), secureContext: context })
    : connect({ host, port });
  socket.setNoDelay(true);
  const errorOf = (error: Error): Error => unreachable(error, proxy);
  return socketStep<Socket>(socket, attempt.signal, errorOf, (resolve) => {
    const onReady = (): void => resolve(socket);
    const event = isTls ? "secureConnect" : "connect";
    socket.once(event, onReady);
    return () => socket.removeListener(event, onReady);
  });
}

/** A certificate that is not trusted keeps its own code: it is no matter of network. */
function unreachable(error: Error, proxy: ProxyAddress): IotError {
  const { host, port } = proxy;
  const phase = proxy.kind === "https" ? "the TLS handshake" : "the TCP connection";
  const attempt = { host, port, serverName: host, phase, presented: undefined } as const;
  const known = connectError(error, attempt);
  if (known.code.startsWith("transport.tls_")) return known;
  return new IotError(
    "transport.proxy_unreachable",
    `the ${describeProxy(proxy)} cannot be reached: ${wordsOf(error)}`,
    { cause: error },
  );
}

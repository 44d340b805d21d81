// What a server does for our client to judge it by: the path says it. server.py does the same.
// Knows no server: each gives a `peer` with its own ways.

import { readFileSync } from 'node:fs';

export const MAX_MESSAGE = 32 * 1024 * 1024;
export const REFUSAL = 'not you';
// How a server closes what it has no way to do.
export const CANNOT = [4501, 'not with this server'];

// The certificate and its key for a server that is to speak TLS; else nothing.
export const TLS = process.env.TLS_CERT
  ? { cert: readFileSync(process.env.TLS_CERT), key: readFileSync(process.env.TLS_KEY) }
  : undefined;

export function ready(port) {
  console.log(`listening on ${TLS ? 'wss' : 'ws'}://127.0.0.1:${port}`);
}

// The first of ours that was offered.
export function choose(offered) {
  return ['chat.v2', 'chat.v1'].find((name) => offered.includes(name));
}

export function refuses(url) {
  return new URL(url, 'http://x').pathname === '/refuse';
}

// How the sockets ended that were opened with an id: `CODE REASON`.
const ends = new Map();

function end(id) {
  if (!ends.has(id)) {
    let resolve;
    const promise = new Promise((r) => (resolve = r));
    ends.set(id, { promise, resolve });
  }
  return ends.get(id);
}

export function closed(url, code, reason) {
  const id = new URL(url, 'http://x').searchParams.get('id');
  if (id) end(id).resolve(`${code} ${reason}`);
}

export function message(url, peer, data) {
  if (new URL(url, 'http://x').pathname === '/echo') peer.send(data);
}

// peer: { headers: [[name, value]...], send, ping (resolves with the pong's payload),
// close(code, reason), terminate, and, where the server can, fragments }.
export async function open(url, peer) {
  const { pathname, searchParams: asked } = new URL(url, 'http://x');
  switch (pathname) {
    case '/echo':
      break;
    case '/request':
      peer.send(peer.headers.map(([name, value]) => `${name.toLowerCase()}: ${value}`).join('\n'));
      break;
    case '/fragments':
      if (!peer.fragments) return peer.close(...CANNOT);
      // A ping goes between them.
      peer.fragments(['one ', '', 'two ', '\u{1f600}'], 'between');
      peer.fragments(Array.from({ length: 100 }, (_, i) => Buffer.alloc(i * 100, i)));
      break;
    case '/pings':
      for (const size of [0, 1, 125]) {
        const payload = 'p'.repeat(size);
        const pong = await peer.ping(payload);
        peer.send(pong === payload ? `pong of ${size}` : `wrong pong '${pong}'`);
      }
      break;
    case '/many':
      for (let i = 0; i < 2_000; i += 1) peer.send(`message ${i}`);
      break;
    case '/close':
      if (asked.has('code')) peer.close(Number(asked.get('code')), asked.get('reason') ?? '');
      else peer.close();
      break;
    case '/lost':
      peer.terminate();
      break;
    case '/closed':
      peer.send(await end(asked.get('id')).promise);
      break;
    default:
      peer.close(4404, `no script for ${pathname}`);
  }
}

// Judges the echo example with undici's WebSocket, the one that Node.js itself ships.
// It follows the browsers' rules, so it cannot send fragments or bad frames.

import diagnostics from 'node:diagnostics_channel';
import { Agent, WebSocket, ping } from 'undici';
import { ECHO, Inbox, LIMIT, LIMITED, PROTOCOLS, SECURE, SECURE_CA, SIZES, TEXTS, bytes, check, equal, judge, same, text, url } from './judge.mjs';

const pongs = new Inbox();
diagnostics.subscribe('undici:websocket:pong', ({ payload }) => pongs.push(Buffer.from(payload).toString('latin1')));

class Peer {
  messages = new Inbox();

  static async open(addr, options) {
    const peer = new Peer(addr, options);
    if (!(await peer.opened)) throw new Error('the handshake failed');
    return peer;
  }

  constructor(addr, options) {
    this.ws = new WebSocket(url(addr), options);
    this.ws.binaryType = 'arraybuffer';
    this.ws.addEventListener('message', ({ data }) => {
      this.messages.push(typeof data === 'string' ? data : Buffer.from(data));
    });
    this.closed = new Promise((resolve) => {
      this.ws.addEventListener('close', (event) => {
        this.messages.end(`closed with ${event.code} '${event.reason}'`);
        resolve(event);
      });
    });
    this.opened = new Promise((resolve) => {
      this.ws.addEventListener('open', () => resolve(true));
      this.ws.addEventListener('error', () => resolve(false));
    });
  }

  async echoes(message) {
    this.ws.send(message);
    same(await this.messages.next(), message);
  }

  async closesWith(code, reason) {
    const closed = await this.closed;
    equal(closed.code, code, 'close code');
    if (reason !== undefined) equal(closed.reason, reason, 'close reason');
    return closed;
  }

  async end(code = 1000, reason = '') {
    this.ws.close(code, reason);
    const closed = await this.closesWith(code, reason);
    equal(closed.wasClean, true, 'wasClean');
    equal(this.messages.size, 0, 'messages that nobody asked for');
  }
}

check('deflate is offered always: nothing is negotiated that the server does not have', async () => {
  const peer = await Peer.open(ECHO);
  equal(peer.ws.extensions, '', 'extensions');
  equal(peer.ws.protocol, '', 'protocol');
  await peer.end();
});

check('texts of every width of code point', async () => {
  const peer = await Peer.open(ECHO);
  for (const message of TEXTS) await peer.echoes(message);
  await peer.end();
});

for (const size of SIZES) {
  check(`text and binary of ${size} bytes`, async () => {
    const peer = await Peer.open(ECHO);
    await peer.echoes(text(size));
    await peer.echoes(bytes(size));
    await peer.end();
  });
}

check('2,000 small messages in one go come back in order', async () => {
  const peer = await Peer.open(ECHO);
  const messages = Array.from({ length: 2_000 }, (_, i) => (i % 3 === 0 ? Buffer.from(`binary ${i}`) : `text ${i}`));
  for (const message of messages) peer.ws.send(message);
  for (const message of messages) same(await peer.messages.next(), message);
  await peer.end();
});

for (const size of [0, 1, 125]) {
  check(`ping of ${size} bytes`, async () => {
    const peer = await Peer.open(ECHO);
    ping(peer.ws, bytes(size));
    equal(await pongs.next(), bytes(size).toString('latin1'), 'pong');
    await peer.echoes('after the ping');
    await peer.end();
  });
}

check('close without a code', async () => {
  const peer = await Peer.open(ECHO);
  peer.ws.close();
  const closed = await peer.closesWith(1005, '');
  equal(closed.wasClean, true, 'wasClean');
});

for (const code of [1000, 3000, 3999, 4000, 4999]) {
  check(`close with ${code}`, async () => {
    const peer = await Peer.open(ECHO);
    await peer.end(code, `reason of ${code} \u00e9`);
  });
}

check('close with a reason of 123 bytes', async () => {
  const peer = await Peer.open(ECHO);
  await peer.end(4000, '\u00e9'.repeat(61) + '.');
});

check('messages sent before a close are echoed', async () => {
  const peer = await Peer.open(ECHO);
  for (let i = 0; i < 100; i += 1) peer.ws.send(`message ${i}`);
  for (let i = 0; i < 100; i += 1) same(await peer.messages.next(), `message ${i}`);
  await peer.end();
});

check('the limit is echoed, one byte more is 1009', async () => {
  const peer = await Peer.open(LIMITED);
  await peer.echoes(text(LIMIT));
  peer.ws.send(text(LIMIT + 1));
  await peer.closesWith(1009);
  equal(peer.messages.size, 0, 'messages');
});

const OFFERS = [
  [['chat.v1', 'chat.v2'], 'chat.v2'],
  [['other', 'chat.v1'], 'chat.v1'],
  [[], ''],
];
for (const [protocols, chosen] of OFFERS) {
  check(`subprotocols offered [${protocols}], chosen '${chosen}'`, async () => {
    const peer = await Peer.open(PROTOCOLS, protocols);
    equal(peer.ws.protocol, chosen, 'protocol');
    await peer.echoes('hello');
    await peer.end();
  });
}

check('a foreign Origin does not open', async () => {
  const peer = new Peer(ECHO, { headers: { origin: 'https://evil.example' } });
  equal(await peer.opened, false, 'opened');
});

check('an Origin that is the host asked for', async () => {
  const peer = await Peer.open(ECHO, { headers: { origin: `http://${ECHO}` } });
  await peer.echoes('hello');
  await peer.end();
});

check('two clients at once get their own messages', async () => {
  const one = await Peer.open(ECHO);
  const two = await Peer.open(ECHO);
  for (let i = 0; i < 200; i += 1) {
    one.ws.send(`one ${i}`);
    two.ws.send(`two ${i}`);
  }
  for (let i = 0; i < 200; i += 1) {
    same(await one.messages.next(), `one ${i}`);
    same(await two.messages.next(), `two ${i}`);
  }
  await one.end();
  await two.echoes('two is still here');
  await two.end();
});

check('TLS: texts, binary of every length form, close', async () => {
  const dispatcher = new Agent({ connect: { ca: SECURE_CA } });
  const peer = await Peer.open(SECURE, { dispatcher });
  for (const message of TEXTS) await peer.echoes(message);
  for (const size of SIZES) {
    await peer.echoes(text(size));
    await peer.echoes(bytes(size));
  }
  await peer.end(4000, 'done');
  await dispatcher.close();
});

await judge('undici');

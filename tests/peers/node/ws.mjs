// Judges the echo example with the client of the npm package `ws`.
// It refuses a wrong accept key, masked frames, and what it did not offer.

import WebSocket from 'ws';
import { ECHO, Inbox, LIMIT, LIMITED, MIB, PROTOCOLS, SECURE, SECURE_CA, SIZES, TEXTS, bytes, check, equal, judge, same, text, url } from './judge.mjs';

class Peer {
  events = new Inbox(); // messages (text as a string) and pongs ({ pong })
  status = 101;

  static async open(addr, { protocols = [], ...options } = {}) {
    const peer = await Peer.attempt(addr, protocols, options);
    if (peer.error) throw peer.error;
    equal(peer.status, 101, 'status');
    return peer;
  }

  // Resolves for an opened, a refused and a failed handshake.
  static attempt(addr, protocols, options) {
    const peer = new Peer();
    peer.ws = new WebSocket(url(addr), protocols, options);
    peer.ws.on('message', (data, isBinary) => peer.events.push(isBinary ? data : data.toString()));
    peer.ws.on('pong', (data) => peer.events.push({ pong: data.toString('latin1') }));
    peer.closed = new Promise((resolve) => {
      peer.ws.on('close', (code, reason) => {
        peer.events.end(peer.error?.message ?? `closed with ${code} '${reason}'`);
        resolve({ code, reason: reason.toString() });
      });
    });
    return new Promise((resolve) => {
      peer.ws.on('upgrade', (response) => (peer.headers = response.headers));
      peer.ws.on('open', () => resolve(peer));
      peer.ws.on('error', (error) => {
        peer.error = error;
        resolve(peer);
      });
      peer.ws.on('unexpected-response', (_, response) => {
        peer.status = response.statusCode;
        peer.body = '';
        response.on('data', (chunk) => (peer.body += chunk));
        response.on('end', () => resolve(peer));
      });
    });
  }

  async echoes(message) {
    this.ws.send(message);
    same(await this.events.next(), message);
  }

  async pong(payload) {
    const event = await this.events.next();
    equal(event.pong, payload, 'pong');
  }

  async closesWith(code, reason) {
    const closed = await this.closed;
    equal(closed.code, code, this.error ? `${this.error.message}; close code` : 'close code');
    if (reason !== undefined) equal(closed.reason, reason, 'close reason');
  }

  async end() {
    this.ws.close(1000);
    await this.closesWith(1000, '');
    equal(this.events.size, 0, 'events that nobody asked for');
  }
}

check('deflate offered: nothing is negotiated that the server does not have', async () => {
  const peer = await Peer.open(ECHO, { perMessageDeflate: true });
  equal(peer.ws.extensions, '', 'extensions');
  equal(peer.headers['sec-websocket-extensions'], undefined, 'Sec-WebSocket-Extensions');
  await peer.echoes('still an echo');
  await peer.end();
});

check('texts of every width of code point', async () => {
  const peer = await Peer.open(ECHO);
  for (const message of TEXTS) await peer.echoes(message);
  await peer.end();
});

for (const size of SIZES) {
  check(`text of ${size} bytes`, async () => {
    const peer = await Peer.open(ECHO);
    await peer.echoes(text(size));
    await peer.end();
  });
  check(`binary of ${size} bytes`, async () => {
    const peer = await Peer.open(ECHO);
    await peer.echoes(bytes(size));
    await peer.end();
  });
}

check('text in fragments, cut inside its code points', async () => {
  const peer = await Peer.open(ECHO);
  const message = TEXTS.join(' ');
  const raw = Buffer.from(message);
  for (let i = 0; i < raw.length; i += 1) {
    peer.ws.send(raw.subarray(i, i + 1), { binary: false, fin: i === raw.length - 1 });
  }
  same(await peer.events.next(), message);
  await peer.end();
});

check('binary in fragments, some of them empty', async () => {
  const peer = await Peer.open(ECHO);
  const raw = bytes(70_000);
  const cuts = [0, 0, 1, 1, 126, 4_000, 69_999, 70_000, 70_000];
  for (let i = 1; i < cuts.length; i += 1) {
    peer.ws.send(raw.subarray(cuts[i - 1], cuts[i]), { binary: true, fin: i === cuts.length - 1 });
  }
  same(await peer.events.next(), raw);
  await peer.end();
});

check('an empty message in empty fragments', async () => {
  const peer = await Peer.open(ECHO);
  peer.ws.send('', { fin: false });
  peer.ws.send('', { fin: false });
  peer.ws.send('', { fin: true });
  same(await peer.events.next(), '');
  await peer.end();
});

check('a ping between fragments is answered before the message', async () => {
  const peer = await Peer.open(ECHO);
  peer.ws.send('one ', { fin: false });
  peer.ws.ping('between');
  await peer.pong('between');
  peer.ws.send('two', { fin: true });
  same(await peer.events.next(), 'one two');
  await peer.end();
});

check('2,000 small messages in one go come back in order', async () => {
  const peer = await Peer.open(ECHO);
  const messages = Array.from({ length: 2_000 }, (_, i) => (i % 3 === 0 ? Buffer.from(`binary ${i}`) : `text ${i}`));
  for (const message of messages) peer.ws.send(message);
  for (const message of messages) same(await peer.events.next(), message);
  await peer.end();
});

check('16 messages of 1 MiB in one go come back in order', async () => {
  const peer = await Peer.open(ECHO);
  const messages = Array.from({ length: 16 }, (_, i) => Buffer.alloc(MIB, i));
  for (const message of messages) peer.ws.send(message);
  for (const message of messages) same(await peer.events.next(), message);
  await peer.end();
});

for (const size of [0, 1, 125]) {
  check(`ping of ${size} bytes`, async () => {
    const peer = await Peer.open(ECHO);
    const payload = bytes(size);
    peer.ws.ping(payload);
    await peer.pong(payload.toString('latin1'));
    await peer.echoes('after the ping');
    await peer.end();
  });
}

check('an unsolicited pong is ignored', async () => {
  const peer = await Peer.open(ECHO);
  peer.ws.pong('nobody asked');
  await peer.echoes('after the pong');
  await peer.end();
});

check('close without a code', async () => {
  const peer = await Peer.open(ECHO);
  peer.ws.close();
  await peer.closesWith(1005, '');
});

const CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
for (const code of CODES) {
  check(`close with ${code}`, async () => {
    const peer = await Peer.open(ECHO);
    peer.ws.close(code, `reason of ${code} \u00e9`);
    await peer.closesWith(code, `reason of ${code} \u00e9`);
  });
}

check('close with a reason of 123 bytes', async () => {
  const peer = await Peer.open(ECHO);
  const reason = '\u00e9'.repeat(61) + '.';
  peer.ws.close(1000, reason);
  await peer.closesWith(1000, reason);
});

check('messages sent before a close are echoed before the close', async () => {
  const peer = await Peer.open(ECHO);
  for (let i = 0; i < 100; i += 1) peer.ws.send(`message ${i}`);
  peer.ws.close(4000, 'done');
  await peer.closesWith(4000, 'done');
  equal(peer.events.size, 100, 'messages before the close');
});

const NOT_UTF8 = { 'a bad byte': [0x61, 0xff], 'a surrogate': [0xed, 0xa0, 0x80], 'a cut code point': [0x61, 0xe2, 0x82] };
for (const [what, raw] of Object.entries(NOT_UTF8)) {
  check(`text with ${what}: 1007`, async () => {
    const peer = await Peer.open(ECHO);
    peer.ws.send(Buffer.from(raw), { binary: false });
    await peer.closesWith(1007);
    equal(peer.events.size, 0, 'messages');
  });
}

check('text with a bad byte in a fragment that is not the last: 1007', async () => {
  const peer = await Peer.open(ECHO);
  peer.ws.send(Buffer.from('good '), { binary: false, fin: false });
  peer.ws.send(Buffer.from([0xc0, 0xaf]), { binary: false, fin: false });
  await peer.closesWith(1007);
});

check('a frame without a mask: 1002', async () => {
  const peer = await Peer.open(ECHO);
  peer.ws.send('bare', { mask: false });
  await peer.closesWith(1002);
});

check('a message of exactly the limit is echoed', async () => {
  const peer = await Peer.open(LIMITED);
  await peer.echoes(text(LIMIT));
  await peer.echoes(bytes(LIMIT));
  await peer.end();
});

for (const size of [LIMIT + 1, 64 * LIMIT, 2 * MIB]) {
  check(`a message of ${size} bytes over a limit of ${LIMIT}: 1009`, async () => {
    const peer = await Peer.open(LIMITED);
    peer.ws.send(bytes(size));
    await peer.closesWith(1009);
    equal(peer.events.size, 0, 'messages');
  });
}

check('fragments that are over the limit together: 1009', async () => {
  const peer = await Peer.open(LIMITED);
  peer.ws.send(bytes(LIMIT), { fin: false });
  peer.ws.send(bytes(1), { fin: false });
  await peer.closesWith(1009);
});

const OFFERS = [
  [['chat.v1', 'chat.v2'], 'chat.v2'],
  [['chat.v2', 'chat.v1'], 'chat.v2'],
  [['other', 'chat.v1'], 'chat.v1'],
  [[], ''],
];
for (const [protocols, chosen] of OFFERS) {
  check(`subprotocols offered [${protocols}], chosen '${chosen}'`, async () => {
    const peer = await Peer.open(PROTOCOLS, { protocols });
    equal(peer.ws.protocol, chosen, 'protocol');
    await peer.echoes('hello');
    await peer.end();
  });
}

check('only an unknown subprotocol offered: 101 and none chosen', async () => {
  const peer = await Peer.attempt(PROTOCOLS, ['other'], {});
  equal(peer.status, 101, 'status');
  equal(peer.headers['sec-websocket-protocol'], undefined, 'Sec-WebSocket-Protocol');
});

for (const origin of ['https://evil.example', `http://${ECHO}.evil.example`, 'null']) {
  check(`Origin ${origin}: 403`, async () => {
    const peer = await Peer.attempt(ECHO, [], { origin });
    equal(peer.status, 403, 'status');
    if (!peer.body.includes(origin)) throw new Error(`the body does not say the origin: ${peer.body}`);
  });
}

check('an Origin that is the host asked for', async () => {
  const peer = await Peer.open(ECHO, { origin: `http://${ECHO}` });
  await peer.echoes('hello');
  await peer.end();
});

check('two clients at once get their own messages', async () => {
  const one = await Peer.open(ECHO);
  const two = await Peer.open(ECHO);
  one.ws.send('half ', { fin: false });
  for (let i = 0; i < 200; i += 1) two.ws.send(`two ${i}`);
  for (let i = 0; i < 200; i += 1) same(await two.events.next(), `two ${i}`);
  one.ws.send('whole', { fin: true });
  same(await one.events.next(), 'half whole');
  await two.end();
  await one.echoes('one is still here');
  await one.end();
});

check('a client that is cut off in a message harms no other', async () => {
  const one = await Peer.open(ECHO);
  const two = await Peer.open(ECHO);
  one.ws.send('half', { fin: false });
  one.ws.ping('sent'); // its pong: what was sent before has arrived
  await one.pong('sent');
  one.ws.terminate();
  await one.closesWith(1006);
  await two.echoes('two is still here');
  await two.end();
});

const ca = { ca: SECURE_CA };

for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
  check(`${maxVersion}: text and binary of every length form`, async () => {
    const peer = await Peer.open(SECURE, { ...ca, maxVersion });
    equal(peer.ws._socket.getProtocol(), maxVersion, 'version');
    for (const message of TEXTS) await peer.echoes(message);
    for (const size of SIZES) {
      await peer.echoes(text(size));
      await peer.echoes(bytes(size));
    }
    await peer.end();
  });
}

check('TLS: 16 messages of 1 MiB in one go come back in order', async () => {
  const peer = await Peer.open(SECURE, ca);
  const messages = Array.from({ length: 16 }, (_, i) => Buffer.alloc(MIB, i));
  for (const message of messages) peer.ws.send(message);
  for (const message of messages) same(await peer.events.next(), message);
  await peer.end();
});

check('TLS: 2,000 small messages in one go come back in order', async () => {
  const peer = await Peer.open(SECURE, ca);
  for (let i = 0; i < 2_000; i += 1) peer.ws.send(`text ${i}`);
  for (let i = 0; i < 2_000; i += 1) same(await peer.events.next(), `text ${i}`);
  await peer.end();
});

check('TLS: every close code', async () => {
  for (const code of CODES) {
    const peer = await Peer.open(SECURE, ca);
    peer.ws.close(code, `reason of ${code}`);
    await peer.closesWith(code, `reason of ${code}`);
  }
});

check('TLS: a certificate that nobody vouches for is refused', async () => {
  const peer = await Peer.attempt(SECURE, [], {});
  equal(peer.error?.code, 'DEPTH_ZERO_SELF_SIGNED_CERT', 'error');
});

check('TLS: the own origin is let in, a foreign one is not', async () => {
  const peer = await Peer.open(SECURE, { ...ca, origin: SECURE.replace('wss', 'https') });
  await peer.echoes('hello');
  await peer.end();
  const foreign = await Peer.attempt(SECURE, [], { ...ca, origin: 'https://evil.example' });
  equal(foreign.status, 403, 'status');
});

await judge('ws');

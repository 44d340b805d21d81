// Bun's own server, with compression for whoever offers it. It cannot send fragments,
// nor a Close without a code.

import { CANNOT, MAX_MESSAGE, REFUSAL, TLS, choose, closed, message, open, ready, refuses } from './script.mjs';

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  tls: TLS,
  fetch(request, server) {
    if (refuses(request.url)) return new Response(REFUSAL, { status: 403 });
    const offered = request.headers.get('sec-websocket-protocol')?.split(/, */) ?? [];
    const protocol = choose(offered);
    const headers = protocol ? { 'Sec-WebSocket-Protocol': protocol } : {};
    const data = { url: request.url, headers: [...request.headers], pongs: [] };
    if (!server.upgrade(request, { data, headers })) return new Response('a WebSocket is wanted', { status: 426 });
  },
  websocket: {
    maxPayloadLength: MAX_MESSAGE,
    backpressureLimit: 2 * MAX_MESSAGE,
    perMessageDeflate: true,
    open: (ws) => open(ws.data.url, peer(ws)),
    message: (ws, data) => message(ws.data.url, peer(ws), data),
    pong: (ws, data) => ws.data.pongs.shift()?.(data.toString()),
    close: (ws, code, reason) => closed(ws.data.url, code, reason),
  },
});

function peer(ws) {
  return {
    headers: ws.data.headers,
    send: (data) => ws.send(data, true),
    ping: (payload) => {
      const pong = new Promise((resolve) => ws.data.pongs.push(resolve));
      ws.ping(payload);
      return pong;
    },
    close: (code, reason) => (code ? ws.close(code, reason) : ws.close(...CANNOT)),
    terminate: () => ws.terminate(),
  };
}

ready(server.port);

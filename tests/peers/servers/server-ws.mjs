// The server of the npm package `ws`, with compression for whoever offers it.

import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { WebSocketServer } from 'ws';
import { MAX_MESSAGE, REFUSAL, TLS, choose, closed, message, open, ready, refuses } from './script.mjs';

const server = TLS ? createSecureServer(TLS) : createServer();
const sockets = new WebSocketServer({
  server,
  maxPayload: MAX_MESSAGE,
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (offered) => choose([...offered]) ?? false,
  verifyClient: ({ req }, done) => (refuses(req.url) ? done(false, 403, REFUSAL) : done(true)),
});

sockets.on('connection', (ws, request) => {
  const peer = {
    headers: Object.entries(request.headers),
    send: (data) => ws.send(data),
    ping: (payload) => {
      ws.ping(payload);
      return new Promise((resolve) => ws.once('pong', (data) => resolve(data.toString())));
    },
    fragments: (parts, ping) => {
      parts.forEach((part, i) => {
        ws.send(part, { fin: i === parts.length - 1 });
        if (i === 0 && ping) ws.ping(ping);
      });
    },
    close: (code, reason) => ws.close(code, reason),
    terminate: () => ws.terminate(),
  };
  ws.on('message', (data, isBinary) => message(request.url, peer, isBinary ? data : data.toString()));
  ws.on('close', (code, reason) => closed(request.url, code, reason));
  ws.on('error', (error) => console.log(`ws: ${error.message}`));
  open(request.url, peer);
});

server.listen(0, '127.0.0.1', () => ready(server.address().port));

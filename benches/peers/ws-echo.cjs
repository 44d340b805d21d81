// The peer: an echo on ws, on Node.
// Not tuned beyond a limit that suits the loads. The port comes from PORT, and for TLS the certificate
// from TLS_CERT and TLS_KEY.

const { readFileSync } = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { WebSocketServer } = require("ws");

const { PORT, TLS_CERT, TLS_KEY } = process.env;

const server = TLS_CERT
  ? https.createServer({ cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) })
  : http.createServer();

const sockets = new WebSocketServer({
  server,
  perMessageDeflate: false,
  maxPayload: 32 * 1024 * 1024,
});

sockets.on("connection", (ws) => {
  ws.on("message", (message, isBinary) => ws.send(message, { binary: isBinary }));
  // A client that goes away is no event for an echo.
  ws.on("error", () => {});
});

server.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`ready on 127.0.0.1:${server.address().port}`);
});

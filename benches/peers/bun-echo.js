// The peer: an echo on Bun's built-in WebSocket server (uWebSockets inside).
// Not tuned beyond limits that suit the loads. The port comes from PORT, and for TLS the
// certificate from TLS_CERT and TLS_KEY.

const { PORT, TLS_CERT, TLS_KEY } = process.env;

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(PORT),
  tls: TLS_CERT ? { cert: Bun.file(TLS_CERT), key: Bun.file(TLS_KEY) } : undefined,
  fetch(request, server) {
    if (server.upgrade(request)) return;
    return new Response("a WebSocket is wanted\n", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    maxPayloadLength: 32 * 1024 * 1024,
    backpressureLimit: 64 * 1024 * 1024,
    message(ws, message) {
      ws.send(message);
    },
  },
});

console.log(`ready on ${server.hostname}:${server.port}`);

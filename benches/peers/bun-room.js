// The peer: a room on Bun's built-in publish and subscribe (uWebSockets inside).
// Not tuned beyond limits that suit the loads. The port comes from PORT.

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch(request, server) {
    if (server.upgrade(request)) return;
    return new Response("a WebSocket is wanted\n", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    maxPayloadLength: 32 * 1024 * 1024,
    backpressureLimit: 64 * 1024 * 1024,
    open(ws) {
      ws.subscribe("lobby");
    },
    message(ws, message) {
      // To all others: not to ws itself.
      ws.publish("lobby", message);
    },
  },
});

console.log(`ready on ${server.hostname}:${server.port}`);

// The peer: a room on Bun's built-in WebSocket server, by its publish (uWebSockets inside).
// Each message goes to all connections but the one it came from. The port comes from PORT.

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch(request, server) {
    if (server.upgrade(request)) return;
    return new Response("a WebSocket is wanted\n", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    backpressureLimit: 64 * 1024 * 1024,
    open(ws) {
      ws.subscribe("room");
    },
    message(ws, message) {
      ws.publish("room", message);
    },
  },
});

console.log(`ready on ${server.hostname}:${server.port}`);

// The peer: a room on ws, on Node: a loop over all clients, as in its documentation.
// Not tuned beyond a limit that suits the loads. The port comes from PORT.

const { WebSocket, WebSocketServer } = require("ws");

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.env.PORT),
  perMessageDeflate: false,
  maxPayload: 32 * 1024 * 1024,
});

server.on("connection", (ws) => {
  ws.on("message", (message, isBinary) => {
    for (const other of server.clients) {
      if (other !== ws && other.readyState === WebSocket.OPEN) {
        other.send(message, { binary: isBinary });
      }
    }
  });
  // A client that goes away is no event for a room.
  ws.on("error", () => {});
});

server.on("listening", () => console.log(`ready on 127.0.0.1:${server.address().port}`));

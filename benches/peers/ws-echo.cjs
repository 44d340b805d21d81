// The peer: an echo on ws, on Node.
// Not tuned beyond a limit that suits the loads. The port comes from PORT.

const { WebSocketServer } = require("ws");

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.env.PORT),
  perMessageDeflate: false,
  maxPayload: 32 * 1024 * 1024,
});

server.on("connection", (ws) => {
  ws.on("message", (message, isBinary) => ws.send(message, { binary: isBinary }));
  // A client that goes away is no event for an echo.
  ws.on("error", () => {});
});

server.on("listening", () => console.log(`ready on 127.0.0.1:${server.address().port}`));

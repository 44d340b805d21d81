// The peer: an echo by a worker of workerd.
// Not tuned. The address comes from the command line.

export default {
  fetch(request) {
    if (request.headers.get("upgrade") !== "websocket") {
      return new Response("a WebSocket is wanted\n", { status: 426 });
    }
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener("message", (event) => server.send(event.data));
    server.addEventListener("close", () => server.close());
    return new Response(null, { status: 101, webSocket: client });
  },
};

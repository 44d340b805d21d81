// The peer: an echo on Deno's own WebSocket server.
// Not tuned. The port comes from PORT, and for TLS the certificate from TLS_CERT and TLS_KEY.

const certificate = Deno.env.get("TLS_CERT");
const tls = certificate
  ? { cert: Deno.readTextFileSync(certificate), key: Deno.readTextFileSync(Deno.env.get("TLS_KEY")) }
  : {};

const options = {
  hostname: "127.0.0.1",
  port: Number(Deno.env.get("PORT")),
  ...tls,
  // It says so on standard error by default.
  onListen: ({ hostname, port }) => console.log(`ready on ${hostname}:${port}`),
};

Deno.serve(options, (request) => {
  if (request.headers.get("upgrade") !== "websocket") {
    return new Response("a WebSocket is wanted\n", { status: 426 });
  }
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => socket.send(event.data);
  // A client that goes away is no event for an echo.
  socket.onerror = () => {};
  return response;
});

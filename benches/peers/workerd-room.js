// The peer: a room that is a Durable Object of workerd, with sockets that may hibernate.
// Each message goes to all connections but the one it came from.

import { DurableObject } from "cloudflare:workers";

export class Room extends DurableObject {
  async fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(ws, message) {
    for (const other of this.ctx.getWebSockets()) {
      if (other !== ws) other.send(message);
    }
  }
}

export default {
  fetch(request, env) {
    return env.ROOM.get(env.ROOM.idFromName("room")).fetch(request);
  },
};

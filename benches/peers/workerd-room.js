// The peer: a room as a Durable Object of workerd, with hibernation.
// Not tuned. The address comes from the command line.

import { DurableObject } from "cloudflare:workers";

export default {
  fetch(request, env) {
    return env.ROOM.get(env.ROOM.idFromName("lobby")).fetch(request);
  },
};

export class Room extends DurableObject {
  fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(ws, message) {
    for (const other of this.ctx.getWebSockets()) {
      if (other === ws) continue;
      try {
        other.send(message);
      } catch {
        // It has closed, and webSocketClose is yet to come.
      }
    }
  }

  webSocketClose(ws) {
    ws.close();
  }
}

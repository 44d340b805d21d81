# The peer: `workerd serve workerd-room.capnp --socket-addr=http=127.0.0.1:PORT`

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "room", worker = .room)],
  sockets = [(name = "http", http = (), service = "room")],
);

const room :Workerd.Worker = (
  modules = [(name = "room", esModule = embed "workerd-room.js")],
  compatibilityDate = "2025-01-01",
  durableObjectNamespaces = [(className = "Room", uniqueKey = "room")],
  durableObjectStorage = (inMemory = void),
  bindings = [(name = "ROOM", durableObjectNamespace = "Room")],
);

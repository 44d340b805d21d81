# workerd's configuration for workerd-room.js. The address is given on the command line.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .room)],
  sockets = [(name = "http", http = (), service = "main")],
);

const room :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "workerd-room.js")],
  compatibilityDate = "2025-01-01",
  durableObjectNamespaces = [(className = "Room", uniqueKey = "room")],
  durableObjectStorage = (inMemory = void),
  bindings = [(name = "ROOM", durableObjectNamespace = "Room")],
);

# The peer: `workerd serve workerd-echo.capnp --socket-addr=http=127.0.0.1:PORT`

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "echo", worker = .echo)],
  sockets = [(name = "http", http = (), service = "echo")],
);

const echo :Workerd.Worker = (
  modules = [(name = "echo", esModule = embed "workerd-echo.js")],
  compatibilityDate = "2025-01-01",
);

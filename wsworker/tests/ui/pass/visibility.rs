use wsworker::prelude::*;

mod inner {
    use wsworker::prelude::*;

    #[worker]
    #[derive(Clone, Default)]
    pub(crate) struct Shared {
        pub name: String,
    }

    impl Worker for Shared {
        async fn on_message(&mut self, ws: &WebSocket, _: Message) -> Result<()> {
            ws.send(self.name.clone())
        }
    }
}

fn main() {
    #[worker]
    #[derive(Clone)]
    struct Local;

    impl Worker for Local {
        async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
            ws.send(message)
        }
    }

    let _ = (Server::new(inner::Shared::default()), Server::new(Local));
}

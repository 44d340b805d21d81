use wsworker::prelude::*;

macro_rules! echo {
    ($name:ident, $size:literal, $($protocol:literal),*) => {
        #[worker(max_message = $size, protocols($($protocol),*))]
        #[derive(Clone)]
        struct $name;

        impl Worker for $name {
            async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
                ws.send(message)
            }
        }
    };
}

echo!(Echo, "1 MiB", "chat.v1", "chat.v2");

fn main() {
    let _ = Server::new(Echo);
}

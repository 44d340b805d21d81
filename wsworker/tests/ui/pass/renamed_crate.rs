//! A crate that re-exports the framework under another name.

pub mod framework {
    pub mod web {
        pub use ::wsworker::*;
    }
}

mod wsworker {}

use framework::web::prelude::*;

#[worker(slow = "drop", crate = "crate::framework::web")]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {
    let _ = Server::new(Echo);
}

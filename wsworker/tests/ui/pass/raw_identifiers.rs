use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
#[allow(non_camel_case_types)]
struct r#type {
    r#fn: u8,
}

impl Worker for r#type {
    async fn on_message(&mut self, ws: &WebSocket, _: Message) -> Result<()> {
        ws.send(vec![self.r#fn])
    }
}

fn main() {
    let _ = Server::new(r#type { r#fn: 1 });
}

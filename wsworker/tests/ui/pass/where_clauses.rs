use wsworker::prelude::*;

use std::fmt::Display;

#[worker]
#[derive(Clone)]
struct Before<T>
where
    T: Display + Clone + Send + 'static,
{
    name: T,
}

impl<T> Worker for Before<T>
where
    T: Display + Clone + Send + 'static,
{
    async fn on_message(&mut self, ws: &WebSocket, _: Message) -> Result<()> {
        ws.send(self.name.to_string())
    }
}

#[worker]
#[derive(Clone)]
struct After<T>(T)
where
    T: Display + Clone + Send + 'static;

impl<T> Worker for After<T>
where
    T: Display + Clone + Send + 'static,
{
    async fn on_message(&mut self, ws: &WebSocket, _: Message) -> Result<()> {
        ws.send(self.0.to_string())
    }
}

fn main() {
    let _ = (Server::new(Before { name: 1 }), Server::new(After("a")));
}

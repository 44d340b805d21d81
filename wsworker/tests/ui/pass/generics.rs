use wsworker::prelude::*;

#[worker(slow = "drop")]
#[derive(Clone)]
struct Room<T: Clone = u8, const N: usize = 2> {
    lines: [T; N],
}

impl<T: Clone + Send + 'static, const N: usize> Worker for Room<T, N> {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {
    let _ = Server::new(Room {
        lines: ["a".to_owned()],
    });
    let room: Room = Room { lines: [1, 2] };
    let _ = Server::new(room);
}

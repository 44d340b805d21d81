use serde::{Deserialize, Serialize};
use wsworker::prelude::*;

#[derive(Serialize, Deserialize)]
struct Line {
    text: String,
}

#[durable_object]
struct Room {
    lines: Vec<Line>,
}

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self { lines: Vec::new() })
    }
}

#[durable_object]
impl Room {
    /// The last lines.
    #[call]
    pub async fn history(&mut self, last: usize, object: Option<Line>) -> Result<Vec<Line>> {
        self.lines.extend(object);
        Ok(self.lines.drain(..last).collect())
    }

    #[call]
    async fn clear(&mut self) -> Result<()> {
        self.lines.clear();
        Ok(())
    }

    fn other(&self) {}
}

async fn ask(env: &Env) -> Result<usize> {
    let room: RoomStub = env.durable_object::<Room>().get_by_name("lobby");
    room.clear().await?;
    let _ = room.id();
    Ok(room.history(20, None).await?.len())
}

fn main() {
    let _ = (ask, Room::other);
}

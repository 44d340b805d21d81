//! A crate that re-exports the framework under another name.

pub mod framework {
    pub mod web {
        pub use ::wsworker::*;
    }
}

mod wsworker {}

use framework::web::prelude::*;

#[durable_object(event_timeout = "1s", crate = "crate::framework::web")]
struct Room;

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room)
    }
}

#[durable_object(crate = "crate::framework::web")]
impl Room {
    #[framework::web::call]
    async fn count(&mut self, from: usize) -> Result<usize> {
        Ok(from + 1)
    }
}

#[worker(objects(Room), crate = "crate::framework::web")]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    async fn fetch(&mut self, _: Request, env: &Env) -> Result<Response> {
        let room = env.durable_object::<Room>().get_by_name("lobby");
        Ok(Response::text(room.count(1).await?.to_string()))
    }
}

fn main() {
    let _ = Server::new(Site);
}

use std::time::Duration;

use wsworker::__private::{Annotated, Class};
use wsworker::prelude::*;

#[durable_object(name = "chat.room-1", hibernate_after = "1m 30s", event_timeout = "500ms", sql)]
struct Room;

#[durable_object]
struct Lobby(u8);

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room)
    }
}

impl DurableObject for Lobby {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Lobby(1))
    }

    async fn fetch(&mut self, _: Request) -> Result<Response> {
        Ok(Response::text(self.0.to_string()))
    }
}

#[worker(objects(Room, self::Lobby))]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let lobby: LobbyStub = env.durable_object::<Lobby>().get_by_name("lobby");
        lobby.fetch(req).await
    }
}

fn main() {
    assert_eq!(Room::NAME, "chat.room-1");
    assert_eq!(Room::OPTIONS.hibernate_after, Duration::from_secs(90));
    assert_eq!(Room::OPTIONS.event_timeout, Duration::from_millis(500));
    assert!(Room::OPTIONS.sql);
    assert_eq!(Lobby::NAME, "Lobby");
    assert_eq!(Lobby::OPTIONS.hibernate_after, Duration::from_secs(10));
    assert_eq!(Lobby::OPTIONS.event_timeout, Duration::from_secs(30));
    assert!(!Lobby::OPTIONS.sql);
    assert_eq!(Site::OPTIONS.objects.len(), 2);
    let _ = Server::new(Site);
}

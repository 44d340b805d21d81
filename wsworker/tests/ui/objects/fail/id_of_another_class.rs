use wsworker::prelude::*;

#[durable_object]
struct Room;

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room)
    }
}

#[durable_object]
struct Lobby;

impl DurableObject for Lobby {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Lobby)
    }
}

fn find(env: &Env) -> LobbyStub {
    let id = env.durable_object::<Room>().id_from_name("a");
    env.durable_object::<Lobby>().get(id)
}

fn main() {}

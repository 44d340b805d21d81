use wsworker::prelude::*;

macro_rules! counter {
    ($name:ident, $stable:literal, $call:ident, $argument:ident: $ty:ty) => {
        #[durable_object(name = $stable)]
        struct $name;

        impl DurableObject for $name {
            async fn new(_: ObjectContext, _: Env) -> Result<Self> {
                Ok($name)
            }
        }

        #[durable_object]
        impl $name {
            #[call]
            async fn $call(&mut self, $argument: $ty, object: u8) -> Result<$ty> {
                let _ = object;
                Ok($argument)
            }
        }
    };
}

counter!(Room, "room", count, from: Vec<u64>);

async fn ask(room: RoomStub) -> Result<Vec<u64>> {
    room.count(vec![1], 2).await
}

fn main() {
    let _ = ask;
}

use wsworker::prelude::*;

mod rooms {
    use wsworker::prelude::*;

    #[durable_object]
    pub(crate) struct Room;

    impl DurableObject for Room {
        async fn new(_: ObjectContext, _: Env) -> Result<Self> {
            Ok(Room)
        }
    }

    mod history {
        #[wsworker::durable_object]
        impl super::Room {
            #[call]
            pub(in crate::rooms) async fn clear(&mut self) -> wsworker::Result<()> {
                Ok(())
            }
        }
    }

    #[durable_object]
    impl Room {
        #[call]
        pub(crate) async fn count(&mut self) -> Result<usize> {
            Ok(1)
        }

        #[call]
        async fn own(&mut self) -> Result<()> {
            Ok(())
        }
    }

    pub(crate) async fn reset(room: &RoomStub) -> Result<()> {
        room.own().await?;
        room.clear().await
    }
}

async fn ask(room: rooms::RoomStub) -> Result<usize> {
    rooms::reset(&room).await?;
    room.count().await
}

fn main() {
    #[durable_object]
    struct Local;

    impl DurableObject for Local {
        async fn new(_: ObjectContext, _: Env) -> Result<Self> {
            Ok(Local)
        }
    }

    #[durable_object]
    impl Local {
        #[call]
        async fn count(&mut self) -> Result<usize> {
            Ok(1)
        }
    }

    let _ = (ask, LocalStub::count);
}

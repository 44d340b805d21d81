use wsworker::prelude::*;

#[durable_object]
struct Room(usize);

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room(Self::FIRST))
    }
}

#[durable_object]
impl Room {
    #[call]
    async fn count(&mut self) -> Result<usize> {
        Ok(self.next())
    }
}

#[durable_object]
impl Room {
    const FIRST: usize = { 1 };

    #[call]
    async fn clear(&mut self) -> Result<()> {
        self.0 = 0;
        Ok(())
    }

    #[inline]
    fn next(&mut self) -> usize {
        self.0 += 1;
        self.0
    }
}

impl Room {
    async fn both(stub: &RoomStub) -> Result<usize> {
        stub.clear().await?;
        stub.clone().count().await
    }
}

fn main() {
    let _ = Room::both;
}

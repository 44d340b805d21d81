use wsworker::prelude::*;

#[durable_object]
struct Room;

impl DurableObject for Room {}

fn main() {}

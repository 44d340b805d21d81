use wsworker::prelude::*;

#[durable_object]
struct Room;

#[worker(objects(Room))]
#[derive(Clone)]
struct Site;

impl Worker for Site {}

fn main() {}

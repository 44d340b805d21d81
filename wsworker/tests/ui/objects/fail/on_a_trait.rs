use wsworker::prelude::*;

#[durable_object]
trait Room {}

fn main() {}

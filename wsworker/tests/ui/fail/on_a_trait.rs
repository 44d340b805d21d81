use wsworker::prelude::*;

#[worker]
trait Room {
    fn name(&self) -> &str;
}

fn main() {}

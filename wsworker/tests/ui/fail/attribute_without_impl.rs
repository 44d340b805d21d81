use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
struct Echo;

fn main() -> Result<()> {
    wsworker::run(Echo)
}

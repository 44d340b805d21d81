use wsworker::prelude::*;

#[worker(objects())]
#[derive(Clone)]
struct Site;

impl Worker for Site {}

fn main() {}

//! What is left of joined connections, however they end.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{Proxied, only, tasks};
use crate::raw::Frame;
use crate::server::{eventually, within};

#[test]
fn joined_connections_leave_nothing_however_they_end() {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    within(async move || {
        let mut rng = SmallRng::seed_from_u64(seed);
        let proxied = Proxied::start().await;
        let before = tasks();
        for _ in 0..60 {
            let (mut client, mut server) = proxied.open().await;
            for _ in 0..rng.random_range(0..4) {
                match rng.random_range(0..4) {
                    0 => client.send(Frame::text("x")).await,
                    1 => server.send(Frame::binary(vec![1; 20_000])).await,
                    2 => client.send(Frame::ping("p")).await,
                    _ => tokio::task::yield_now().await,
                }
            }
            match rng.random_range(0..6) {
                0 => drop(client),
                1 => drop(server),
                2 => drop((client, server)),
                3 => client.send(Frame::close(1000, "")).await,
                4 => server.send(Frame::close(1000, "")).await,
                _ => client.send(Frame::text("x").unmasked()).await,
            }
        }
        only(before).await;
        let handle = proxied.proxy.handle.clone();
        eventually("no connection is open", || handle.connections() == 0).await;
    });
}

#[cfg(target_os = "linux")]
#[test]
fn descriptors_of_joined_connections_come_back() {
    within(async || {
        let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let proxied = Proxied::start().await;
        let before = descriptors();
        for _ in 0..100 {
            let (client, server) = proxied.open().await;
            drop((client, server));
        }
        // Each pair has two of ours; other tests open some too.
        eventually("they are closed", || descriptors() < before + 100).await;
    });
}

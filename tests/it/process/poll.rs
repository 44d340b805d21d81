//! The `poll` example: roles, votes, and an alarm that ends the poll, over a restart too.
//! Does not look at the page.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use rustix::process::Signal;

use super::example;
use crate::program::Program;
use crate::raw::{Frame, RawClient};
use crate::server::within;

fn start(data: &Path) -> (Program, SocketAddr) {
    let data = data.to_str().unwrap();
    let mut poll = Program::start(example("poll"), &[("WSWORKER_DATA", data)]);
    let addr = poll.addr();
    (poll, addr)
}

async fn host(addr: SocketAddr) -> RawClient {
    RawClient::open_at(addr, "/poll/lunch?role=host").await
}

async fn voter(addr: SocketAddr, id: &str) -> RawClient {
    RawClient::open_at(addr, &format!("/poll/lunch?voter={id}")).await
}

/// It is there, and nothing was asked yet.
async fn early(mut client: RawClient) -> RawClient {
    client.expect_text(r#"{"poll":null}"#).await;
    client
}

async fn ask(host: &mut RawClient, seconds: u64) {
    let asked = format!(r#"{{"question":"Tea?","options":["yes","no"],"seconds":{seconds}}}"#);
    host.send(Frame::text(asked)).await;
}

/// The next message says this of the poll; gives all of it.
async fn told(client: &mut RawClient, votes: &str, over: bool) -> String {
    let frame = client.read_frame().await;
    let wanted = format!(r#""over":{over},"question":"Tea?","votes":{votes}}}}}"#);
    assert!(
        frame.text().ends_with(&wanted),
        "{} is not {wanted}",
        frame.text()
    );
    frame.text().to_owned()
}

async fn choose(client: &mut RawClient, option: usize) {
    client.send(Frame::text(option.to_string())).await;
    let chosen = format!(r#"{{"chosen":{option}}}"#);
    client.expect_text(&chosen).await;
}

#[test]
fn hosts_see_the_votes_as_they_come_and_voters_at_the_end() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (_poll, addr) = start(data.path());
        let mut host = early(host(addr).await).await;
        let mut ann = early(voter(addr, "ann").await).await;
        let mut bob = early(voter(addr, "bob").await).await;
        ask(&mut host, 3).await;
        told(&mut host, "[0,0]", false).await;
        for voter in [&mut ann, &mut bob] {
            told(voter, "null", false).await;
        }
        choose(&mut ann, 1).await;
        told(&mut host, "[0,1]", false).await;
        choose(&mut bob, 1).await;
        told(&mut host, "[0,2]", false).await;
        // Another choice of the same voter's.
        choose(&mut ann, 0).await;
        told(&mut host, "[1,1]", false).await;
        for client in [&mut host, &mut ann, &mut bob] {
            told(client, "[1,1]", true).await;
        }
        ann.send(Frame::text("1")).await;
        ann.expect_text(r#"{"error":"there is no poll now"}"#).await;

        // The next poll knows nothing of this one.
        ask(&mut host, 60).await;
        told(&mut host, "[0,0]", false).await;
        told(&mut ann, "null", false).await;
        choose(&mut ann, 1).await;
        told(&mut host, "[0,1]", false).await;
    });
}

#[test]
fn what_is_no_vote_and_no_question_is_answered() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (_poll, addr) = start(data.path());
        let mut host = early(host(addr).await).await;
        for (wrong, wanted) in [
            ("0", "send a question"),
            (
                r#"{"question":"Tea?","options":["yes"],"seconds":9}"#,
                "2 to 10",
            ),
            (
                r#"{"question":"Tea?","options":["yes","no"],"seconds":0}"#,
                "1 to 86,400",
            ),
        ] {
            host.send(Frame::text(wrong)).await;
            let answer = host.read_frame().await;
            assert!(answer.text().contains(wanted), "{}", answer.text());
        }
        let mut ann = early(voter(addr, "ann").await).await;
        ann.send(Frame::text("0")).await;
        ann.expect_text(r#"{"error":"there is no poll now"}"#).await;
        ask(&mut host, 60).await;
        told(&mut ann, "null", false).await;
        for wrong in [Frame::text("2"), Frame::text("-1"), Frame::binary([0])] {
            ann.send(wrong).await;
            let wanted = r#"{"error":"send the number of an option, from 0"}"#;
            ann.expect_text(wanted).await;
        }
        choose(&mut ann, 0).await;
    });
}

#[test]
fn a_poll_and_its_votes_outlive_a_kill_and_the_alarm_ends_it() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (poll, addr) = start(data.path());
        let mut asking = early(host(addr).await).await;
        let mut ann = early(voter(addr, "ann").await).await;
        // Less than a client waits for a frame, by more than an alarm may be late.
        ask(&mut asking, 3).await;
        told(&mut ann, "null", false).await;
        choose(&mut ann, 0).await;
        poll.signal(Signal::KILL);
        poll.ended();

        let (_poll, addr) = start(data.path());
        let mut ann = voter(addr, "ann").await;
        told(&mut ann, "null", false).await;
        ann.expect_text(r#"{"chosen":0}"#).await;
        choose(&mut ann, 1).await;
        told(&mut ann, "[0,1]", true).await;
        told(&mut host(addr).await, "[0,1]", true).await;
    });
}

#[test]
fn a_poll_whose_time_came_while_nothing_ran_ends_at_the_start() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (poll, addr) = start(data.path());
        let mut host = early(host(addr).await).await;
        let mut ann = early(voter(addr, "ann").await).await;
        ask(&mut host, 2).await;
        let running = told(&mut ann, "null", false).await;
        choose(&mut ann, 0).await;
        poll.signal(Signal::KILL);
        poll.ended();
        let ends = running.split(['{', ':', ',']).find_map(|n| n.parse().ok());
        let ends = UNIX_EPOCH + Duration::from_millis(ends.unwrap());
        tokio::time::sleep(
            ends.elapsed()
                .map_or_else(|e| e.duration(), |_| Duration::ZERO),
        )
        .await;

        let (_poll, addr) = start(data.path());
        let mut bob = voter(addr, "bob").await;
        let first = bob.read_frame().await;
        // Perhaps bob was there before the alarm.
        if first.text().contains(r#""over":false"#) {
            told(&mut bob, "[1,0]", true).await;
        } else {
            assert!(
                first.text().contains(r#""votes":[1,0]"#),
                "{}",
                first.text()
            );
        }
    });
}

#[test]
fn a_poll_has_a_page_and_a_name_that_is_decoded() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (_poll, addr) = start(data.path());
        let mut plain = RawClient::connect(addr).await;
        let page = plain.get("/poll/lunch?role=host").await;
        assert!(page.text().contains("<title>poll</title>"));
        for (path, status) in [("/", 404), ("/poll/", 404), ("/poll/%ff", 400)] {
            assert_eq!(plain.get(path).await.status, status, "{path}");
        }
        let mut host = RawClient::open_at(addr, "/poll/caf%C3%A9?role=host").await;
        let mut ann = RawClient::open_at(addr, "/poll/%63af%c3%a9?voter=ann").await;
        ann.expect_text(r#"{"poll":null}"#).await;
        ask(&mut host, 60).await;
        told(&mut ann, "null", false).await;
    });
}

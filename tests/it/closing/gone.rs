//! The peer goes away without a Close.
//! Does not treat peers that only fall silent: `idle` does.

use wsworker::State;

use crate::raw::{Frame, RawClient};
use crate::server::{Event, Recorded, within};

async fn vanishes(bytes: Vec<u8>) {
    let mut server = Recorded::start().await;
    let mut client = RawClient::open(server.addr).await;
    let ws = server.opened().await;
    server.expect(Event::Open).await;
    client.send_raw(bytes).await;
    drop(client);
    server.expect_unclean(1006).await;
    assert_eq!(ws.state(), State::Closed);
    assert!(ws.send("anyone?").unwrap_err().is_closed());
    assert_eq!(server.finish().await, []);
}

#[test]
fn a_dropped_connection_is_1006_once_and_no_error() {
    within(async || vanishes(Vec::new()).await);
}

#[test]
fn a_connection_dropped_inside_a_header_is_1006() {
    within(async || vanishes(vec![0x81]).await);
}

#[test]
fn a_connection_dropped_inside_a_frame_is_1006() {
    within(async || vanishes(Frame::text("part").announcing(100).encode()).await);
}

#[test]
fn a_connection_dropped_inside_a_message_is_1006() {
    within(async || vanishes(Frame::text("part").unfinished().encode()).await);
}

#[test]
fn a_reset_connection_is_1006_once() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("x".repeat(1000))).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("x".repeat(1000))).await;
        // Unread bytes make the drop a RST.
        client.reader.read_one_byte().await;
        drop(client);
        server.expect_unclean(1006).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn what_came_before_the_drop_is_delivered() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let frames = [Frame::text("!quiet 1"), Frame::text("!quiet 2")];
        client.send_all(frames).await;
        drop(client);
        server.expect(Event::Open).await;
        server.expect(Event::text("!quiet 1")).await;
        server.expect(Event::text("!quiet 2")).await;
        server.expect_unclean(1006).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn a_peer_that_only_stops_sending_still_gets_its_answers() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send_all([Frame::text("!wake")]).await;
        client.writer.shutdown().await;
        client.expect_text("!wake").await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!wake")).await;
        server.expect_unclean(1006).await;
    });
}

#[test]
fn a_drop_while_a_handler_holds_is_told_after_it() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        drop(client);
        server.expect_quiet().await;
        server.release();
        // The echo finds the socket closed or goes nowhere: either is a close.
        let mut event = server.next().await;
        if matches!(event, Event::Error(_)) {
            event = server.next().await;
        }
        let unclean = matches!(
            event,
            Event::Close {
                was_clean: false,
                ..
            }
        );
        assert!(unclean, "{event:?}");
        assert_eq!(server.finish().await, []);
    });
}

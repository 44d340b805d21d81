//! The `guide` example: its page, its socket, and the client that it is.
//! Does not look at the page: a browser does, in `tests/full`.

use super::{Echo, example};
use crate::program::Program;
use crate::raw::{Frame, RawClient};
use crate::server::within;

#[test]
fn the_guide_serves_its_page_and_its_socket_and_is_a_client() {
    within(async || {
        let mut echo = Echo::start(&[]);
        let server = format!("ws://{}/", echo.addr());
        let mut guide = Program::start(example("guide"), &[("SERVER", &server)]);
        let addr = guide.addr();
        let mut plain = RawClient::connect(addr).await;
        assert!(plain.get("/").await.text().contains("new WebSocket("));
        assert_eq!(plain.get("/ws").await.status, 426);
        let answer = plain.get("/client").await;
        assert_eq!((answer.status, answer.text()), (200, "hello"));
        let mut client = RawClient::open_at(addr, "/ws").await;
        client.send(Frame::text("MESSAGE")).await;
        client.expect_text("MESSAGE").await;
        client.close().await;
        guide.says("MESSAGE");
    });
}

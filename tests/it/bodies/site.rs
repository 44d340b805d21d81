//! A site as one is written by hand: routes, pages, JSON, a WebSocket.
//! Does not treat each way in which a handshake is wrong: `opening` does.

use std::sync::LazyLock;

use wsworker::Router;
use wsworker::prelude::*;

use crate::raw::{Frame, Head, RawClient};
use crate::server::{Served, within};

enum Route {
    Home,
    Room,
    User,
    Hook,
}

static ROUTES: LazyLock<Router<Route>> = LazyLock::new(|| {
    Router::new()
        .route("/", Route::Home)
        .route("/room/{name}/ws", Route::Room)
        .route("/user/{id}", Route::User)
        .route("/hook", Route::Hook)
});

#[worker]
#[derive(Clone, Default)]
struct Handwritten {
    room: String,
}

impl Worker for Handwritten {
    async fn fetch(&mut self, mut req: Request, env: &Env) -> Result<Response> {
        match ROUTES.at(req.path()) {
            Some((Route::Home, _)) => {
                let name = req.cookie("name").unwrap_or("nobody".into());
                Ok(Response::html(format!("<h1>hello {name}</h1>")))
            }
            Some((Route::Room, params)) => {
                self.room = params.get("name")?.into_owned();
                Ok(req.upgrade()?.accept())
            }
            Some((Route::User, params)) => {
                let id: u32 = params.parse("id")?;
                Response::json(&(id, req.query_param("full")))
            }
            Some((Route::Hook, _)) => {
                let token = req.header("authorization").unwrap_or_default();
                if !env.secret("HOOK_TOKEN")?.is(token) {
                    return Response::error("Unauthorized", 401);
                }
                let event: (String, u32) = req.json().await?;
                Response::json(&event)?.with_status(201)
            }
            None => Response::error("Not found", 404),
        }
    }

    async fn on_open(&mut self, ws: &WebSocket, req: &Request) -> Result<()> {
        ws.send(format!("{} at {}", self.room, req.path()))
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

async fn connect() -> (Served, RawClient) {
    let with_token = |server: Server| server.secret("HOOK_TOKEN", "s3cret");
    let served = Served::start_with(Handwritten::default(), with_token).await;
    let client = RawClient::connect(served.addr).await;
    (served, client)
}

#[test]
fn each_path_takes_its_route() {
    within(async || {
        let (_served, mut client) = connect().await;
        for (path, status, text) in [
            ("/", 200, "<h1>hello nobody</h1>"),
            ("/user/7?full=yes", 200, "[7,\"yes\"]"),
            ("/user/7", 200, "[7,null]"),
            (
                "/user/x",
                400,
                "'x' in the path is no id: invalid digit found in string",
            ),
            ("/user/", 404, "Not found"),
            ("/room/a", 404, "Not found"),
            ("/room/a/ws", 426, "Expected Upgrade: websocket"),
            ("/room/%ff/ws", 400, "'%ff' in the path is not UTF-8"),
            ("/hook", 401, "Unauthorized"),
        ] {
            let answer = client.get(path).await;
            assert_eq!((answer.status, answer.text()), (status, text), "{path}");
        }
    });
}

#[test]
fn a_cookie_is_read() {
    within(async || {
        let (_served, mut client) = connect().await;
        let head = Head::get("/", client.host()).with("Cookie", "a=b; name=Ada%20L.");
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.text(), "<h1>hello Ada L.</h1>");
    });
}

#[test]
fn a_secret_opens_the_hook() {
    within(async || {
        let (_served, mut client) = connect().await;
        let body = "[\"push\",3]";
        let head = Head::post("/hook", client.host())
            .with("Authorization", "s3cret")
            .with("Content-Length", &body.len().to_string());
        client
            .send_raw([&head.encode(), body.as_bytes()].concat())
            .await;
        let answer = client.read_response().await;
        assert_eq!((answer.status, answer.text()), (201, body));
    });
}

#[test]
fn a_room_is_opened_at_its_path_with_its_decoded_name() {
    within(async || {
        let (_served, mut client) = connect().await;
        client.handshake_at("/room/caf%C3%A9/ws", &[]).await;
        client.expect_text("café at /room/caf%C3%A9/ws").await;
        client.send(Frame::text("hello")).await;
        client.expect_text("hello").await;
    });
}

#[test]
fn what_is_wrong_with_an_upgrade_is_its_own_answer() {
    within(async || {
        let (served, client) = connect().await;
        let valid = Head::upgrade("/room/a/ws", client.host());
        for (head, status) in [
            (valid.clone().line("POST /room/a/ws HTTP/1.1"), 405),
            (valid.clone().replace("Sec-WebSocket-Version", "8"), 426),
            (valid.clone().without("Sec-WebSocket-Key"), 400),
            (valid.clone().without("Connection"), 400),
            (valid.clone().with("Content-Length", "3"), 400),
            (valid.clone().with("Origin", "https://evil.example"), 403),
        ] {
            let mut client = RawClient::connect(served.addr).await;
            client.send_raw(head.encode()).await;
            assert_eq!(client.read_response().await.status, status);
        }
    });
}

//! Sockets of an object that code of the same process asks for, not a client.

use wsworker::Event;
use wsworker::storage::MemoryStorage;

use super::probe::{Probe, event, serve};
use super::*;
use crate::raw::RawClient;
use crate::server::{Served, within};

#[tokio::test(start_paused = true)]
async fn a_request_of_the_process_itself_opens_a_socket_of_an_object() {
    let (_server, env) = serve::<Probe>(MemoryStorage::new()).await;
    let probe = env.durable_object::<Probe>().get_by_name("a");
    let request = Request::get("/").header("upgrade", "websocket");
    let response = probe.fetch(request).await.unwrap();
    assert_eq!(response.status(), 101);
    assert!(response.websocket().is_some());
    let mut events = response.into_websocket().unwrap().accept();
    events.send("say hello").unwrap();
    match events.next().await {
        Some(Event::Message(message)) => assert_eq!(message.as_text(), Some("hello")),
        other => panic!("{other:?}"),
    }
    events.close_with(4000, "enough").unwrap();
    while sockets(&env).await > 0 {
        tokio::task::yield_now().await;
    }
}

async fn sockets(env: &Env) -> usize {
    let sockets = event(env, "a", |probe| {
        Box::pin(async { Ok(probe.ctx.sockets().len()) })
    });
    sockets.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_object_gives_its_caller_a_socket_of_another_object() {
    let (server, _env) = serve::<Front>(MemoryStorage::new()).await;
    // The client checks the handshake: it is an answer to its own key.
    let mut ws = server.connect("/a").await.unwrap();
    assert_eq!(ask(&mut ws, "hello").await, "behind: hello");
    ws.close().unwrap();
    assert_eq!(ws.closed().await.unwrap().code, 1005);
}

/// Has another one behind it, and asks that one in its own words.
#[durable_object]
struct Front(Env);

impl DurableObject for Front {
    async fn new(_: ObjectContext, env: Env) -> Result<Self> {
        Ok(Self(env))
    }

    async fn fetch(&mut self, req: Request) -> Result<Response> {
        let upgrade = req.upgrade()?;
        if req.path() == "/behind" {
            return Ok(upgrade.accept());
        }
        let request = Request::get("/behind").header("upgrade", "websocket");
        let others = self.0.durable_object::<Self>();
        others.get_by_name("behind").fetch(request).await
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(format!("behind: {}", message.as_text().unwrap()))
    }
}

#[test]
fn a_clients_own_handshake_is_not_made_good_on_its_way_to_an_object() {
    within(async || {
        let configure = |server: Server| server.object::<Room>().storage(MemoryStorage::new());
        let served = Served::start_with(Rooms, configure).await;
        for missing in ["Sec-WebSocket-Key", "Connection", "Sec-WebSocket-Version"] {
            let mut client = RawClient::connect(served.addr).await;
            let request = client.upgrade().without(missing);
            client.send_raw(request.encode()).await;
            let refused = client.read_response().await;
            assert!(
                [400, 426].contains(&refused.status),
                "{missing}: {}",
                refused.status
            );
        }
    });
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_request_is_said_when_it_goes_to_an_object() {
    let (_server, env) = serve::<Probe>(MemoryStorage::new()).await;
    let probe = env.durable_object::<Probe>().get_by_name("a");
    let error = probe.fetch(Request::get("/").header("a b", "c")).await;
    let error = error.unwrap_err();
    assert!(
        error.is_invalid() && error.to_string().contains("a b"),
        "{error}"
    );
}

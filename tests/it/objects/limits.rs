//! What a class may set: at each limit all is well, beyond it the error says what was seen.

use super::*;

/// Its messages name a limit and by how much it is tried.
#[durable_object(
    max_sockets = 2,
    max_tags = 2,
    max_tag = 4,
    max_attachment = 10,
    max_key = 8,
    max_value = 10,
    max_calls = 2,
    max_held = 10
)]
struct Small {
    ctx: ObjectContext,
}

impl DurableObject for Small {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self { ctx })
    }

    async fn fetch(&mut self, req: Request) -> Result<Response> {
        if req.is_upgrade() {
            return Ok(req.upgrade()?.accept());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(Response::text("late"))
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let words = message.as_text().expect("a test sends text");
        let (what, size) = words.split_once(' ').expect("a limit and a size");
        let text = "x".repeat(size.parse()?);
        let storage = self.ctx.storage();
        let tried = match what {
            "key" => storage.put_bytes(&text, ""),
            "get" => storage.get_bytes(&text).await.map(drop),
            "value" => storage.put_bytes("k", text),
            "tag" => self.ctx.add_tag(ws, &text),
            // In MessagePack a short text has a byte before it.
            "attachment" => self.ctx.attach(ws, &text[1..]),
            // The first goes, whatever is in it.
            "held" => ws.send(text).and_then(|()| ws.send("more")),
            other => return Err(Error::new(format!("no limit {other}"))),
        };
        match tried {
            Ok(()) if what == "held" => Ok(()),
            Ok(()) => ws.send("ok"),
            // It cannot send any more.
            Err(error) if what == "held" => Err(error),
            Err(error) => ws.send(error.to_string()),
        }
    }

    async fn on_error(&mut self, ws: &WebSocket, error: &Error) {
        let text = error.to_string();
        let why = text.strip_prefix("Small.on_message: ");
        let _ = ws.send(&why.unwrap()[..10]);
    }
}

#[worker(objects(Small))]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let small = env.durable_object::<Small>().get_by_name("a");
        small.fetch(req).await
    }
}

async fn small() -> TestServer {
    let storage = wsworker::storage::MemoryStorage::new();
    TestServer::start(Server::new(Site).storage(storage), Via::Memory)
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn keys_values_tags_and_attachments_end_where_the_class_says() {
    let server = small().await;
    let mut ws = server.connect("/").await.unwrap();
    for (tried, answer) in [
        ("key 8", "ok"),
        ("key 9", "a key has at most 8 bytes, got 9"),
        ("key 0", "a key has at least one byte, got none"),
        ("get 8", "ok"),
        ("get 9", "a key has at most 8 bytes, got 9"),
        ("value 10", "ok"),
        ("value 11", "key 'k': a value has at most 10 bytes, got 11"),
        ("attachment 10", "ok"),
        (
            "attachment 11",
            "an attachment has at most 10 bytes, got 11",
        ),
        ("tag 5", "a tag has at most 4 bytes, got 5"),
        ("tag 4", "ok"),
        ("tag 4", "ok"),
        ("tag 3", "ok"),
        ("tag 2", "a socket has at most 2 tags, got 3"),
    ] {
        assert_eq!(ask(&mut ws, tried).await, answer, "{tried}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_has_sent_enough_sends_no_more() {
    let server = small().await;
    let mut ws = server.connect("/").await.unwrap();
    ws.send("held 9").unwrap();
    assert_eq!(ws.text().await.unwrap(), "xxxxxxxxx");
    assert_eq!(ws.text().await.unwrap(), "more");
    ws.send("held 10").unwrap();
    assert_eq!(ws.text().await.unwrap(), "the event ");
    assert_eq!(ws.closed().await.unwrap().code, 1011);
}

#[tokio::test(start_paused = true)]
async fn one_socket_too_many_is_refused_until_another_has_gone() {
    let server = small().await;
    let mut first = server.connect("/").await.unwrap();
    let _second = server.connect("/").await.unwrap();
    let refused = server.connect("/").await.unwrap_err();
    // A client gets to see it, and no id in it, which may be a secret.
    let said = refused.to_string();
    let whole = "503 Service Unavailable: 2 sockets are open here, the limit";
    assert!(said.ends_with(whole), "{said}");
    first.close().unwrap();
    first.closed().await.unwrap();
    let mut third = server.connect("/").await.unwrap();
    assert_eq!(ask(&mut third, "key 8").await, "ok");
}

#[tokio::test(start_paused = true)]
async fn one_call_too_many_is_refused() {
    let server = std::sync::Arc::new(small().await);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let server = server.clone();
        calls.spawn(async move {
            let mut answered = server.fetch("/").await.unwrap();
            let status = answered.status().as_u16();
            (status, answered.text().await.unwrap())
        });
    }
    let mut answers = calls.join_all().await;
    answers.sort_unstable();
    let statuses: Vec<_> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 200, 503]);
    assert_eq!(answers[2].1, "2 calls wait already, the limit");
}

#[test]
fn what_nobody_sets_is_what_the_guide_says() {
    let defaults = wsworker::__private::ObjectOptions::DEFAULT;
    assert_eq!(defaults.max_sockets, 32_768);
    assert_eq!((defaults.max_tags, defaults.max_tag), (10, 256));
    assert_eq!(defaults.max_attachment, 16 << 10);
    assert_eq!((defaults.max_key, defaults.max_value), (2 << 10, 2 << 20));
    assert_eq!((defaults.max_calls, defaults.max_held), (1024, 64 << 20));
    assert_eq!(defaults.event_timeout, Duration::from_secs(30));
    assert_eq!(defaults.hibernate_after, Duration::from_secs(10));
}

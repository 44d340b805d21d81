//! What the guide promises of events, rule by rule, where no other file shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use wsworker::storage::{FaultyStorage, MemoryStorage};

use super::probe::{Probe, event, serve};
use super::storage::Scripted;
use super::*;

const SHORT: Duration = Duration::from_millis(200);

async fn probe() -> (TestServer, Env) {
    serve::<Probe>(MemoryStorage::new()).await
}

async fn count(env: &Env, name: &str) -> u32 {
    let count = event(env, name, |probe| {
        Box::pin(async { probe.ctx.storage().get("count").await })
    });
    count.await.unwrap().unwrap_or(0)
}

async fn incr(env: &Env, name: &str) -> Result<u32> {
    event(env, name, |probe| {
        Box::pin(async {
            let storage = probe.ctx.storage();
            let count = storage.get("count").await?.unwrap_or(0) + 1;
            storage.put("count", &count)?;
            Ok(count)
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_find_one_instance() {
    let (_server, env) = probe().await;
    let called: Vec<_> = (0..200)
        .map(|_| {
            let env = env.clone();
            tokio::spawn(async move {
                event(&env, "a", |probe| Box::pin(async { Ok(probe.events) })).await
            })
        })
        .collect();
    let mut seen = Vec::new();
    for call in called {
        seen.push(call.await.unwrap().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, Vec::from_iter(1..=200));
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_socket_are_answered_in_their_order() {
    let storage = Scripted::held();
    let (server, _env) = serve::<Probe>(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    // Some wait, some write, some do neither.
    let said = [
        "say 1", "incr", "sleep 20", "say 2", "incr", "sleep 1", "say 3",
    ];
    for words in said {
        ws.send(words).unwrap();
    }
    assert_eq!(ws.text().await.unwrap(), "1");
    ws.quiet_for(SHORT).await.unwrap();
    storage.let_go(1);
    for wanted in ["1", "slept 20", "2"] {
        assert_eq!(ws.text().await.unwrap(), wanted);
    }
    ws.quiet_for(SHORT).await.unwrap();
    storage.let_go(1);
    for wanted in ["2", "slept 1", "3"] {
        assert_eq!(ws.text().await.unwrap(), wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_behind_one_that_is_undone_is_not_heard() {
    let storage = Arc::new(FaultyStorage::new(MemoryStorage::new()));
    let (server, env) = serve::<Probe>(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    let mut other = server.connect("/a").await.unwrap();
    let hold = storage.hold();
    storage.fail(1, wsworker::storage::Fault::Before);
    ws.send("incr").unwrap();
    tokio::time::sleep(SHORT).await;
    // They wait for the object's turn when the commit fails.
    let slow = event(&env, "a", |_| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        })
    });
    let slow = tokio::spawn(slow);
    tokio::time::sleep(SHORT).await;
    for _ in 0..5 {
        ws.send("incr").unwrap();
    }
    drop(hold);
    let told = ws.text().await.unwrap();
    assert!(told.starts_with("error: the event is undone: "), "{told}");
    assert_eq!(ws.closed().await.unwrap().code, 1011);
    assert!(slow.await.unwrap().unwrap_err().is_undone());
    assert_eq!(other.text().await.unwrap(), told);
    assert_eq!(other.text().await.unwrap(), "left 1011");
    assert_eq!(count(&env, "a").await, 0);
    assert_eq!(ask(&mut other, "incr").await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_panic_between_two_writes_leaves_neither_and_what_was_before() {
    let storage = Scripted::held();
    let (server, env) = serve::<Probe>(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("incr").unwrap();
    ws.quiet_for(SHORT).await.unwrap();
    let failing = event(&env, "a", |probe| {
        Box::pin(async {
            probe.ctx.storage().put("first", &1)?;
            if probe.events > 0 {
                panic!("between");
            }
            probe.ctx.storage().put("second", &2)
        })
    });
    tokio::pin!(failing);
    assert!(
        timeout(SHORT, &mut failing).await.is_err(),
        "what was before is settled first"
    );
    storage.let_go(1);
    assert!(failing.await.unwrap_err().is_panic());
    assert_eq!(ws.text().await.unwrap(), "1");
    let left = event(&env, "a", |probe| {
        Box::pin(async {
            let found = probe.ctx.storage().list_bytes(ListOptions::new()).await?;
            Ok((found.len(), probe.events))
        })
    });
    assert_eq!(left.await.unwrap(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_on_error_or_on_close_goes_no_further() {
    #[durable_object]
    struct Grumpy {
        #[allow(dead_code)]
        ctx: ObjectContext,
    }
    impl DurableObject for Grumpy {
        async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
            Ok(Self { ctx })
        }
        async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
            match message.as_text() {
                Some("fail") => Err(Error::new("as asked")),
                _ => ws.send(message),
            }
        }
        async fn on_error(&mut self, _: &WebSocket, _: &Error) {
            panic!("grumpy");
        }
        async fn on_close(&mut self, _: &WebSocket, _: CloseEvent) {
            panic!("grumpy, too");
        }
    }
    let (server, _env) = serve::<Grumpy>(MemoryStorage::new()).await;
    let mut other = server.connect("/a").await.unwrap();
    for _ in 0..3 {
        let mut ws = server.connect("/a").await.unwrap();
        ws.send("fail").unwrap();
        assert_eq!(ws.closed().await.unwrap().code, 1011);
        assert_eq!(ask(&mut other, "still here").await, "still here");
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_whose_accepting_commit_fails_never_was() {
    let storage = Arc::new(FaultyStorage::new(MemoryStorage::new()));
    let (server, env) = serve::<Probe>(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    storage.fail(1, wsworker::storage::Fault::Before);
    let refused = server.connect("/a/written").await.unwrap_err();
    assert!(refused.to_string().contains("500"), "{refused}");
    ws.quiet_for(SHORT).await.unwrap();
    let sockets = event(&env, "a", |probe| {
        Box::pin(async { Ok(probe.ctx.sockets().len()) })
    });
    assert_eq!(sockets.await.unwrap(), 1);
    let mut late = server.connect("/a/written").await.unwrap();
    assert_eq!(late.text().await.unwrap(), "opened");
    assert_eq!(ws.text().await.unwrap(), "opened");
}

#[tokio::test(start_paused = true)]
async fn an_event_sees_its_own_closes_and_what_it_holds() {
    let (server, env) = probe().await;
    let mut ws = server.connect("/a").await.unwrap();
    let seen = event(&env, "a", |probe| {
        Box::pin(async {
            let ws = probe.ctx.sockets().iter().next().unwrap();
            // One may overshoot the server's `max_buffered`, which is 1 MiB.
            ws.send(vec![0; 1 << 20])?;
            let full = ws.send("more").unwrap_err();
            let waits = ws.ready().await.unwrap_err();
            ws.close_with(4000, "enough")?;
            let closed = ws.send("late").unwrap_err();
            let open = probe.ctx.sockets().len();
            Ok((full.is_full(), waits.is_full(), closed.is_closed(), open))
        })
    });
    assert_eq!(seen.await.unwrap(), (true, true, true, 0));
    assert_eq!(ws.binary().await.unwrap().len(), 1 << 20);
    assert_eq!(ws.closed().await.unwrap().code, 4000);
}

#[tokio::test(start_paused = true)]
async fn a_close_in_an_event_that_fails_did_not_happen() {
    let (server, env) = probe().await;
    let mut ws = server.connect("/a").await.unwrap();
    let failed = event(&env, "a", |probe| {
        Box::pin(async {
            let ws = probe.ctx.sockets().iter().next().unwrap();
            ws.send(vec![0; 1 << 20])?;
            ws.close()?;
            Err::<(), _>(Error::new("as asked"))
        })
    });
    assert_eq!(failed.await.unwrap_err().to_string(), "as asked");
    assert_eq!(ask(&mut ws, "say hello").await, "hello");
}

#[tokio::test(start_paused = true)]
async fn a_message_to_a_socket_that_has_gone_is_dropped() {
    let storage = Scripted::held();
    let (server, env) = serve::<Probe>(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    let mut stays = server.connect("/a").await.unwrap();
    ws.send("incr").unwrap();
    stays.quiet_for(SHORT).await.unwrap();
    ws.close().unwrap();
    ws.closed().await.unwrap();
    storage.let_go(2);
    assert_eq!(stays.text().await.unwrap(), "left 1005");
    assert_eq!(count(&env, "a").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_earlier_commits_and_is_not_undone_with_its_event() {
    let storage = Scripted::held();
    let (server, env) = serve::<Probe>(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("incr").unwrap();
    ws.quiet_for(SHORT).await.unwrap();
    let calls = event(&env, "a", |probe| {
        Box::pin(async {
            probe.ctx.storage().put("never", &1)?;
            let called = incr(&probe.env, "b").await?;
            Err::<(), _>(Error::new(format!("called: {called}")))
        })
    });
    tokio::pin!(calls);
    assert!(timeout(SHORT, &mut calls).await.is_err());
    assert_eq!(storage.commits(), 1, "of a alone");
    storage.let_go(1);
    assert!(timeout(SHORT, &mut calls).await.is_err());
    assert_eq!(storage.commits(), 2, "b's");
    storage.let_go(1);
    assert_eq!(calls.await.unwrap_err().to_string(), "called: 1");
    assert_eq!(count(&env, "b").await, 1);
    assert_eq!(storage.commits(), 2, "the event's own write is undone");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_commit_fails_is_told_so() {
    let storage = Arc::new(FaultyStorage::new(MemoryStorage::new()));
    let (_server, env) = serve::<Probe>(storage.clone()).await;
    storage.fail(1, wsworker::storage::Fault::Before);
    let error = incr(&env, "a").await.unwrap_err();
    assert!(error.is_undone(), "{error}");
    assert!(
        error.to_string().contains("commit 1 fails for a test"),
        "{error}"
    );
    assert_eq!(incr(&env, "a").await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_while_its_commit_is_on_its_way_changes_nothing() {
    let storage = Scripted::held();
    let (_server, env) = serve::<Probe>(storage.clone()).await;
    assert!(timeout(SHORT, incr(&env, "a")).await.is_err());
    storage.let_go(100);
    assert_eq!(count(&env, "a").await, 1);
}

/// Calls another object, which calls this one.
#[tokio::test(start_paused = true)]
async fn a_cycle_is_an_error_at_once_that_shows_it() {
    let (_server, env) = probe().await;
    let cycle = event(&env, "a", |probe| {
        Box::pin(async {
            event(&probe.env, "b", |probe| {
                Box::pin(async { incr(&probe.env, "a").await })
            })
            .await
        })
    });
    let error = timeout(SHORT, cycle).await.unwrap().unwrap_err();
    assert!(error.is_deadlock(), "{error}");
    assert_eq!(error.to_string().matches("Probe:").count(), 3, "{error}");
    assert_eq!(incr(&env, "a").await.unwrap(), 1);
    assert_eq!(incr(&env, "b").await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_events_that_come_to_wait_for_each_other_show_the_cycle_at_once() {
    let (_server, env) = probe().await;
    let [a, b] = [("a", "b"), ("b", "a")].map(|(one, other)| {
        event(&env, one, move |probe| {
            Box::pin(async move {
                sleep(SHORT / 2).await;
                incr(&probe.env, other).await
            })
        })
    });
    let (a, b) = timeout(SHORT, async { tokio::join!(a, b) }).await.unwrap();
    let (error, count) = match (a, b) {
        (Err(error), Ok(count)) | (Ok(count), Err(error)) => (error, count),
        both => panic!("{both:?}"),
    };
    assert!(error.is_deadlock(), "{error}");
    assert_eq!(error.to_string().matches("Probe:").count(), 3, "{error}");
    assert_eq!(count, 1);
}

/// It looks at its call only later, and does something else first.
#[tokio::test(start_paused = true)]
async fn an_object_whose_call_has_ended_is_waited_for_by_nobody() {
    let (_server, env) = probe().await;
    let busy = tokio::spawn(event(&env, "b", |_| {
        Box::pin(async {
            sleep(SHORT).await;
            Ok(())
        })
    }));
    tokio::task::yield_now().await;
    let caller = tokio::spawn(event(&env, "a", |probe| {
        Box::pin(async {
            let mut called = Box::pin(incr(&probe.env, "b"));
            assert!(timeout(SHORT / 2, &mut called).await.is_err());
            sleep(3 * SHORT).await;
            called.await
        })
    }));
    busy.await.unwrap().unwrap();
    sleep(SHORT).await;
    let back = event(&env, "b", |probe| {
        Box::pin(async { incr(&probe.env, "a").await })
    });
    assert_eq!(back.await.unwrap(), 1);
    assert_eq!(caller.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_turn_does_not_come_in_time_never_begins() {
    let (_server, env) = probe().await;
    let long = Duration::from_secs(29);
    let slow = [(); 2].map(|()| {
        tokio::spawn(event(&env, "a", move |_| {
            Box::pin(async move {
                sleep(long).await;
                Ok(())
            })
        }))
    });
    tokio::task::yield_now().await;
    let error = incr(&env, "a").await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let told = "a call waited for its turn longer than 30s";
    assert_eq!(error.to_string(), told);
    for slow in slow {
        slow.await.unwrap().unwrap();
    }
    assert_eq!(count(&env, "a").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_sync_waits_for_the_commits_of_earlier_events() {
    let storage = Scripted::held();
    let (server, env) = serve::<Probe>(storage.clone()).await;
    let ws = server.connect("/a").await.unwrap();
    ws.send("incr").unwrap();
    sleep(SHORT).await;
    let synced = Arc::new(AtomicBool::new(false));
    let told = synced.clone();
    let sync = tokio::spawn(event(&env, "a", |probe| {
        Box::pin(async move {
            probe.ctx.storage().sync().await?;
            told.store(true, Ordering::SeqCst);
            Ok(())
        })
    }));
    sleep(SHORT).await;
    assert!(!synced.load(Ordering::SeqCst));
    storage.let_go(1);
    sync.await.unwrap().unwrap();
    assert!(synced.load(Ordering::SeqCst));
}

#[tokio::test]
async fn two_types_with_the_name_of_one_class_are_an_error_at_start() {
    #[durable_object(name = "Room")]
    struct Other;

    impl DurableObject for Other {
        async fn new(_: ObjectContext, _: Env) -> Result<Self> {
            Ok(Self)
        }
    }

    let server = Server::new(Rooms).object::<Room>().object::<Other>();
    let server = server.storage(MemoryStorage::new());
    let error = TestServer::start(server, Via::Memory).await.err().unwrap();
    let told = "two classes of Durable Objects have the name 'Room'";
    assert!(error.to_string().contains(told), "{error}");
}

#[tokio::test(start_paused = true)]
async fn work_of_an_event_that_fails_is_dropped() {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    async fn work() -> Result<()> {
        STARTED.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    let (_server, env) = probe().await;
    for fails in [true, false] {
        let ran = event(&env, "a", move |probe| {
            Box::pin(async move {
                probe.ctx.after_commit(work())?;
                probe.ctx.wait_until(work())?;
                if fails {
                    Err(Error::new("as asked"))
                } else {
                    Ok(())
                }
            })
        });
        assert_eq!(ran.await.is_err(), fails);
        tokio::time::sleep(SHORT).await;
        assert_eq!(STARTED.load(Ordering::SeqCst), if fails { 0 } else { 2 });
    }
}

#[tokio::test(start_paused = true)]
async fn wait_until_keeps_the_object_and_after_commit_does_not() {
    let (_server, env) = probe().await;
    for waits in [true, false] {
        let started = event(&env, "a", move |probe| {
            Box::pin(async move {
                let work = async {
                    tokio::time::sleep(Duration::from_secs(25)).await;
                    Ok(())
                };
                match waits {
                    true => probe.ctx.wait_until(work),
                    false => probe.ctx.after_commit(work),
                }
            })
        });
        started.await.unwrap();
        tokio::time::sleep(Duration::from_secs(22)).await;
        let events = event(&env, "a", |probe| Box::pin(async { Ok(probe.events) }));
        assert_eq!(events.await.unwrap(), if waits { 2 } else { 1 });
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_streamed_body_runs_after_the_commit() {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    struct Once(bool);
    impl futures_core::Stream for Once {
        type Item = Result<String>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            BEGUN.store(true, Ordering::SeqCst);
            let first = std::mem::take(&mut self.0);
            std::task::Poll::Ready(first.then(|| Ok("streamed".to_owned())))
        }
    }
    #[durable_object]
    struct Streams {
        ctx: ObjectContext,
    }
    impl DurableObject for Streams {
        async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
            Ok(Self { ctx })
        }
        async fn fetch(&mut self, _: Request) -> Result<Response> {
            self.ctx.storage().put("k", "v")?;
            Ok(Response::stream(Once(true)))
        }
    }
    let storage = Scripted::held();
    let (server, _env) = serve::<Streams>(storage.clone()).await;
    let asked = server.fetch("/a");
    tokio::pin!(asked);
    assert!(timeout(SHORT, &mut asked).await.is_err());
    assert!(!BEGUN.load(Ordering::SeqCst));
    storage.let_go(1);
    assert_eq!(asked.await.unwrap().text().await.unwrap(), "streamed");
}

#[tokio::test(start_paused = true)]
async fn ids_and_lists_that_are_wrong_say_so() {
    let (_server, env) = probe().await;
    let probes = env.durable_object::<Probe>();
    let id = probes.new_unique_id().unwrap();
    assert_eq!(probes.id_from_string(&id.to_string()).unwrap(), id);
    for wrong in ["", "xyz", &"0".repeat(63), &"g".repeat(64)] {
        assert!(probes.id_from_string(wrong).unwrap_err().is_invalid());
    }
    let errors = event(&env, "a", |probe| {
        Box::pin(async {
            let storage = probe.ctx.storage();
            let both = ListOptions::new().start("a").start_after("b");
            let both = storage.list_bytes(both).await.unwrap_err();
            let none = storage.list_bytes(ListOptions::new().limit(0)).await;
            Ok([both.to_string(), none.unwrap_err().to_string()])
        })
    });
    let [both, none] = errors.await.unwrap();
    assert_eq!(both, "list takes `start` or `start_after`, got both");
    assert_eq!(none, "list takes a limit of 1 or more, got 0");
}

#[tokio::test(start_paused = true)]
async fn a_value_of_another_type_says_where_it_is() {
    let (server, env) = probe().await;
    let _ws = server.connect("/a").await.unwrap();
    let errors = event(&env, "a", |probe| {
        Box::pin(async {
            let (ctx, storage) = (&probe.ctx, probe.ctx.storage());
            let ws = ctx.sockets().iter().next().unwrap();
            ctx.attach(&ws, &7)?;
            storage.put("k", &7)?;
            let attached = ctx.attachment::<bool>(&ws).unwrap_err();
            let stored = storage.get::<bool>("k").await.unwrap_err();
            Ok([attached, stored].map(|error| error.to_string()))
        })
    });
    let why = "the value is no bool: invalid type: integer `7`, expected a boolean";
    let wanted = ["attachment", "key 'k'"].map(|place| format!("{place}: {why}"));
    assert_eq!(errors.await.unwrap(), wanted);
}

#[tokio::test(start_paused = true)]
async fn an_event_sees_what_it_has_changed() {
    let (server, env) = probe().await;
    let _ws = server.connect("/a").await.unwrap();
    let seen = event(&env, "a", |probe| {
        Box::pin(async {
            let (ctx, storage) = (&probe.ctx, probe.ctx.storage());
            let ws = ctx.sockets().iter().next().unwrap();
            ctx.add_tag(&ws, "red")?;
            ctx.attach(&ws, "x")?;
            let attached: Option<String> = ctx.attachment(&ws)?;
            let (_client, end) = WebSocketPair::new();
            ctx.accept(end, ["red"])?;
            let red = ctx.sockets().tagged("red").len();
            storage.put("k", &7)?;
            storage.set_alarm_after(Duration::from_secs(60))?;
            let (k, set) = (storage.get::<u32>("k").await?, storage.alarm().await?);
            storage.delete_alarm()?;
            let deleted = storage.alarm().await?;
            Ok((attached, red, k, set.is_some(), deleted.is_none()))
        })
    });
    let wanted = (Some("x".to_owned()), 2, Some(7), true, true);
    assert_eq!(seen.await.unwrap(), wanted);
}

#[tokio::test]
async fn a_fetch_inside_an_event_waits_for_earlier_commits() {
    let target = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", target.local_addr().unwrap());
    let storage = Scripted::held();
    let (server, env) = serve::<Probe>(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("incr").unwrap();
    ws.quiet_for(SHORT).await.unwrap();
    let fetching = event(&env, "a", |probe| {
        Box::pin(async move {
            probe.ctx.storage().put("own", &1)?;
            wsworker::fetch(&url).await.map(drop)
        })
    });
    let fetching = tokio::spawn(fetching);
    assert!(timeout(SHORT, target.accept()).await.is_err());
    storage.let_go(1);
    // And not for its own.
    let (came, _) = timeout(SHORT * 10, target.accept()).await.unwrap().unwrap();
    assert_eq!(storage.commits(), 1);
    drop(came);
    assert!(fetching.await.unwrap().unwrap_err().is_fetch());
}

#[tokio::test(start_paused = true)]
async fn an_on_open_that_fails_is_undone_and_closes_its_socket() {
    #[durable_object]
    struct Picky {
        ctx: ObjectContext,
    }
    impl DurableObject for Picky {
        async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
            Ok(Self { ctx })
        }
        async fn on_open(&mut self, _: &WebSocket, req: &Request) -> Result<()> {
            self.ctx.storage().put("last", req.path())?;
            self.ctx.sockets().broadcast(req.path().to_owned());
            match req.path() {
                "/a/bad" => Err(Error::new("as asked")),
                _ => Ok(()),
            }
        }
        async fn on_message(&mut self, ws: &WebSocket, _: Message) -> Result<()> {
            let last: Option<String> = self.ctx.storage().get("last").await?;
            ws.send(last.unwrap_or_default())
        }
        async fn on_error(&mut self, _: &WebSocket, error: &Error) {
            self.ctx.sockets().broadcast(error.to_string());
        }
    }
    let (server, _env) = serve::<Picky>(MemoryStorage::new()).await;
    let mut good = server.connect("/a/good").await.unwrap();
    assert_eq!(good.text().await.unwrap(), "/a/good");
    let mut bad = server.connect("/a/bad").await.unwrap();
    for ws in [&mut bad, &mut good] {
        assert_eq!(ws.text().await.unwrap(), "Picky.on_open: as asked");
    }
    assert_eq!(bad.closed().await.unwrap().code, 1011);
    assert_eq!(ask(&mut good, "last?").await, "/a/good");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_its_caller_does_not_poll_any_more_keeps_nobody_waiting() {
    let (_server, env) = probe().await;
    let slow = event(&env, "a", |_| {
        Box::pin(async {
            sleep(2 * SHORT).await;
            Ok("slept")
        })
    });
    tokio::pin!(slow);
    assert!(timeout(SHORT, &mut slow).await.is_err());
    // One that waits for its turn is not polled any more either.
    let queued = incr(&env, "a");
    tokio::pin!(queued);
    assert!(timeout(SHORT / 2, &mut queued).await.is_err());
    let other = timeout(2 * SHORT, incr(&env, "a")).await;
    assert_eq!(other.expect("it has its turn").unwrap(), 2);
    assert_eq!(queued.await.unwrap(), 1);
    assert_eq!(slow.await.unwrap(), "slept");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_its_turn_never_begins() {
    let (_server, env) = probe().await;
    let slow = event(&env, "a", |_| {
        Box::pin(async {
            sleep(SHORT).await;
            Ok(())
        })
    });
    let slow = tokio::spawn(slow);
    tokio::task::yield_now().await;
    for _ in 0..10 {
        assert!(timeout(SHORT / 20, incr(&env, "a")).await.is_err());
    }
    slow.await.unwrap().unwrap();
    assert_eq!(incr(&env, "a").await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn work_that_panics_as_it_is_dropped_changes_nothing_of_an_undo() {
    let storage = Arc::new(FaultyStorage::new(MemoryStorage::new()));
    let (server, env) = serve::<Careless>(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("fail").unwrap();
    assert_eq!(ws.closed().await.unwrap().code, 1011);
    // What built on a commit that fails is undone with it, and everybody is told.
    let mut ws = server.connect("/a").await.unwrap();
    let mut other = server.connect("/a").await.unwrap();
    assert_eq!(ask(&mut ws, "hello").await, "1 failed");
    storage.fail(1, wsworker::storage::Fault::Before);
    ws.send("put").unwrap();
    other.send("hello").unwrap();
    assert_eq!(ws.closed().await.unwrap().code, 1011);
    assert_eq!(other.closed().await.unwrap().code, 1011);
    drop(env);
}

#[tokio::test(start_paused = true)]
async fn work_that_panics_as_it_is_dropped_after_its_end_keeps_no_object_awake() {
    let (server, _env) = serve::<Careless>(MemoryStorage::new()).await;
    let mut ws = server.connect("/a").await.unwrap();
    assert_eq!(ask(&mut ws, "work").await, "0 failed");
    assert_eq!(ask(&mut ws, "events").await, "2");
    sleep(Duration::from_secs(30)).await;
    assert_eq!(ask(&mut ws, "events").await, "1");
}

/// Starts work whose drop panics.
#[durable_object]
struct Careless {
    ctx: ObjectContext,
    events: usize,
}

static FAILED: AtomicUsize = AtomicUsize::new(0);

impl DurableObject for Careless {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self { ctx, events: 0 })
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        self.events += 1;
        let command = message.as_text().unwrap();
        match command {
            "events" => return ws.send(self.events.to_string()),
            "hello" => {}
            _ => self.ctx.wait_until(Sharp)?,
        }
        match command {
            "fail" => return Err(Error::new("as asked")),
            "put" => self.ctx.storage().put("k", "v")?,
            _ => {}
        }
        // Of this test alone where nothing has failed.
        let failed = match command {
            "work" => 0,
            _ => FAILED.load(Ordering::SeqCst),
        };
        ws.send(format!("{failed} failed"))
    }

    async fn on_error(&mut self, _: &WebSocket, _: &Error) {
        FAILED.fetch_add(1, Ordering::SeqCst);
    }
}

struct Sharp;

impl Future for Sharp {
    type Output = Result<()>;

    fn poll(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

impl Drop for Sharp {
    fn drop(&mut self) {
        panic!("as the test wants");
    }
}

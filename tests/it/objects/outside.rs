//! What is done with an object's things beside its events.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use wsworker::__private::Called;
use wsworker::storage::MemoryStorage;

use super::probe::{Probe, event, serve};
use super::storage::Scripted;
use super::*;
use crate::log::Logged;

/// Begins an event of the object.
fn begin<R, F>(env: &Env, event: F) -> JoinHandle<Result<R>>
where
    R: Send + 'static,
    F: for<'a> FnOnce(&'a mut Shared) -> Called<'a, R> + Send + 'static,
{
    let shared = env.durable_object::<Shared>().get_by_name("a");
    tokio::spawn(async move { shared.call(event).await })
}

/// An event that writes.
fn write(env: &Env) -> JoinHandle<Result<()>> {
    begin(env, |shared| {
        Box::pin(async { shared.0.storage().put("k", "v") })
    })
}

async fn context(env: &Env) -> Arc<ObjectContext> {
    let context = begin(env, |shared| Box::pin(async { Ok(shared.0.clone()) }));
    context.await.unwrap().unwrap()
}

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn a_send_from_outside_leaves_after_what_is_pending() {
    let storage = Scripted::held();
    let (server, env) = serve::<Probe>(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("incr").unwrap();
    ws.quiet_for(SHORT).await.unwrap();
    let handle = event(&env, "a", |probe| {
        Box::pin(async {
            let ws = probe.ctx.sockets().iter().next().unwrap();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                ws.send("outside").unwrap();
            });
            Ok(())
        })
    });
    let handle = tokio::spawn(handle);
    ws.quiet_for(SHORT).await.unwrap();
    storage.let_go(1);
    assert_eq!(ws.text().await.unwrap(), "1");
    assert_eq!(ws.text().await.unwrap(), "outside");
    handle.await.unwrap().unwrap();
}

/// What it would wait for never happened.
#[tokio::test(start_paused = true)]
async fn a_send_from_outside_leaves_while_a_commit_before_it_is_undone() {
    let storage = Scripted::held();
    let (server, env) = serve::<Shared>(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    let handle = context(&env).await.sockets().iter().next().unwrap();
    let written = write(&env);
    tokio::time::sleep(SHORT).await;
    // It has the turn, which the undo waits for.
    let slow = begin(&env, |_| {
        Box::pin(async {
            tokio::time::sleep(10 * SHORT).await;
            Ok(())
        })
    });
    tokio::time::sleep(SHORT).await;
    storage.fail(true);
    storage.let_go(1);
    tokio::time::sleep(SHORT).await;
    handle.send("outside").unwrap();
    assert_eq!(timeout(SHORT, ws.text()).await.unwrap().unwrap(), "outside");
    handle.close_with(4000, "enough").unwrap();
    let closed = timeout(SHORT, ws.closed()).await.unwrap().unwrap();
    assert_eq!(closed.code, 4000);
    assert!(written.await.unwrap().unwrap_err().is_undone());
    assert!(slow.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn broadcasts_from_outside_hold_no_more_than_an_event_may() {
    let logged = Logged::start();
    let storage = Scripted::held();
    let (server, env) = serve::<Shared>(storage.clone()).await;
    let _ws = server.connect("/a").await.unwrap();
    let ctx = context(&env).await;
    let written = write(&env);
    tokio::time::sleep(SHORT).await;
    for _ in 0..70 {
        ctx.sockets().broadcast(vec![0; 1 << 20]);
    }
    let told = "is dropped: 67108864 bytes wait for a commit";
    assert_eq!(logged.take(told).len(), 6);
    storage.let_go(1);
    written.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn ready_waits_for_what_has_left_and_not_been_taken() {
    let (server, env) = serve::<Shared>(MemoryStorage::new()).await;
    let mut ws = server.connect("/a").await.unwrap();
    let shared = env.durable_object::<Shared>().get_by_name("a");
    ws.stall();
    let filled = shared.call(|shared: &mut Shared| {
        Box::pin(async {
            let ws = shared.0.sockets().iter().next().unwrap();
            ws.send(vec![0; 2 << 20])?;
            Ok(ws)
        })
    });
    let full = filled.await.unwrap();
    assert!(timeout(SHORT, full.ready()).await.is_err());
    assert!(full.send("more").unwrap_err().is_full());
    // Inside an event it is the same: nothing of that one's own is in the way.
    let waiting = shared.call(|shared: &mut Shared| {
        Box::pin(async {
            let ws = shared.0.sockets().iter().next().unwrap();
            ws.ready().await?;
            ws.send("more")
        })
    });
    tokio::pin!(waiting);
    assert!(timeout(SHORT, &mut waiting).await.is_err());
    ws.resume();
    waiting.await.unwrap();
    assert_eq!(ws.binary().await.unwrap().len(), 2 << 20);
    assert_eq!(ws.text().await.unwrap(), "more");
}

/// Those leave although it waits; its own do not.
#[tokio::test(start_paused = true)]
async fn ready_in_an_event_waits_for_what_earlier_events_sent_and_not_for_its_own() {
    let storage = Scripted::held();
    let (server, env) = serve::<Shared>(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    let send = |shared: &Shared, bytes: usize| {
        let ws = shared.0.sockets().iter().next().unwrap();
        ws.send(vec![0; bytes]).unwrap();
        ws
    };
    // Less than half of what may wait, so that the next one begins.
    let first = begin(&env, move |shared| {
        Box::pin(async move {
            send(shared, 500_000);
            shared.0.storage().put("k", "v")
        })
    });
    tokio::time::sleep(SHORT).await;
    let mut second = begin(&env, move |shared| {
        Box::pin(async move {
            let ws = send(shared, 600_000);
            assert!(ws.send("more").unwrap_err().is_full());
            ws.ready().await?;
            ws.send("more")
        })
    });
    assert!(timeout(SHORT, &mut second).await.is_err());
    storage.let_go(1);
    second.await.unwrap().unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(ws.binary().await.unwrap().len(), 500_000);
    assert_eq!(ws.binary().await.unwrap().len(), 600_000);
    assert_eq!(ws.text().await.unwrap(), "more");
    let own = begin(&env, move |shared| {
        Box::pin(async move { send(shared, 2 << 20).ready().await })
    });
    let own = timeout(SHORT, own).await.unwrap().unwrap();
    assert!(own.unwrap_err().is_full());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_changed_outside_an_event() {
    let (server, env) = serve::<Shared>(MemoryStorage::new()).await;
    let _ws = server.connect("/a").await.unwrap();
    let ctx = context(&env).await;
    let ws = ctx.sockets().iter().next().unwrap();
    let (_client, end) = WebSocketPair::new();
    let storage = ctx.storage();
    for refused in [
        storage.put("k", "v"),
        storage.delete("k"),
        storage.delete_all(),
        storage.set_alarm_after(SHORT),
        storage.delete_alarm(),
        ctx.attach(&ws, "x"),
        ctx.add_tag(&ws, "x"),
        ctx.remove_tag(&ws, "x"),
        ctx.accept(end, ["x"]).map(drop),
        ctx.wait_until(async { Ok(()) }),
        ctx.after_commit(async { Ok(()) }),
        ctx.abort("x"),
    ] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("only inside one of its events"), "{error}");
    }
    assert_eq!(storage.get::<String>("k").await.unwrap(), None);
    assert_eq!(storage.alarm().await.unwrap(), None);
    assert_eq!(ctx.sockets().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_read_beside_the_events_leaves_nothing_old_behind() {
    let storage = Scripted::open();
    let (_server, env) = serve::<Shared>(storage.clone()).await;
    let shared = env.durable_object::<Shared>().get_by_name("a");
    let ctx = context(&env).await;
    // Asked before the write, and heard after it.
    storage.slow_reads(Duration::from_secs(1));
    let read = tokio::spawn(async move { ctx.storage().get::<u32>("count").await.unwrap() });
    tokio::time::sleep(SHORT).await;
    let put =
        shared.call(|shared: &mut Shared| Box::pin(async { shared.0.storage().put("count", &1) }));
    put.await.unwrap();
    assert_eq!(read.await.unwrap(), None);
    let found = shared.call(|shared: &mut Shared| {
        Box::pin(async { shared.0.storage().get::<u32>("count").await })
    });
    assert_eq!(found.await.unwrap(), Some(1));
}

/// Its object has left memory, and another value has changed the state since.
#[tokio::test(start_paused = true)]
async fn a_context_that_was_kept_reads_what_is_stored_now() {
    let (server, env) = serve::<Shared>(MemoryStorage::new()).await;
    let kept = context(&env).await;
    let read = async || kept.storage().get::<String>("k").await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(server.handle().objects(), 0);
    assert_eq!(read().await, None);
    write(&env).await.unwrap().unwrap();
    assert_eq!(read().await.as_deref(), Some("v"));
}

#[tokio::test(start_paused = true)]
async fn an_objects_own_stub_leads_back_to_it_from_beside_its_events() {
    let (_server, env) = serve::<Probe>(MemoryStorage::new()).await;
    let started = event(&env, "a", |probe| {
        Box::pin(async {
            let itself = probe.ctx.stub::<Probe>()?;
            assert_eq!(itself.id().as_bytes(), probe.ctx.id().as_bytes());
            probe.ctx.wait_until(async move {
                let put = itself.call(|probe: &mut Probe| {
                    Box::pin(async { probe.ctx.storage().put("by", "itself") })
                });
                put.await
            })
        })
    });
    started.await.unwrap();
    tokio::time::sleep(SHORT).await;
    let found = event(&env, "a", |probe| {
        Box::pin(async { probe.ctx.storage().get::<String>("by").await })
    });
    assert_eq!(found.await.unwrap().as_deref(), Some("itself"));
}

#[tokio::test(start_paused = true)]
async fn an_objects_own_stub_is_of_its_own_class_and_never_waited_for_by_its_event() {
    let (_server, env) = serve::<Probe>(MemoryStorage::new()).await;
    let other = event(&env, "a", |probe| {
        Box::pin(async { probe.ctx.stub::<Shared>().map(drop) })
    });
    let error = other.await.unwrap_err();
    assert!(error.is_config(), "{error}");
    let wanted = "this object is of the class 'Probe', and a stub of 'Shared' was wanted";
    assert!(error.to_string().ends_with(wanted), "{error}");
    let waiting = event(&env, "a", |probe| {
        Box::pin(async {
            let itself = probe.ctx.stub::<Probe>()?;
            let nothing = itself.call(|_: &mut Probe| Box::pin(async { Ok(()) }));
            nothing.await
        })
    });
    let error = timeout(SHORT, waiting).await.unwrap().unwrap_err();
    assert!(error.is_deadlock(), "{error}");
}

/// Lets its context be used beside its events.
#[durable_object]
struct Shared(Arc<ObjectContext>);

impl DurableObject for Shared {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self(Arc::new(ctx)))
    }
}

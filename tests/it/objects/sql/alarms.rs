//! The alarm is in the object's database; the shared storage has a hint of it, which is
//! never later.

use wsworker::storage::{Fault, ObjectKey};

use super::*;

/// The alarms that the shared storage lists.
async fn hints(storage: &FaultyStorage) -> Vec<u64> {
    let alarms = storage.alarms(10).await.unwrap();
    alarms.into_iter().map(|(_, alarm)| alarm.at).collect()
}

const ALARMS: &str = "sql SELECT count(*) FROM t WHERE b = 'alarm'";

#[tokio::test(start_paused = true)]
async fn an_alarm_comes_at_its_time_also_to_one_that_sleeps() {
    let server = ledgers().await;
    ask(&server, &["alarm 30000"]).await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(ask(&server, &[ALARMS, "has-alarm"]).await, "0\ntrue");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(ask(&server, &[ALARMS, "has-alarm"]).await, "1\nfalse");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(ask(&server, &[ALARMS]).await, "1");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_fails_is_undone_and_tried_again() {
    let server = ledgers().await;
    ask(&server, &["put again", "alarm 1000"]).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(ask(&server, &[ALARMS, "has-alarm"]).await, "0\ntrue");
    // The first try's delete was undone too.
    ask(&server, &["clear", "sql CREATE TABLE t (a, b)"]).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(ask(&server, &[ALARMS, "has-alarm"]).await, "1\nfalse");
}

#[tokio::test(start_paused = true)]
async fn the_hint_follows_the_alarm() {
    let storage = faulty();
    let server = ledgers_on(storage.clone()).await;
    ask(&server, &["alarm 50000"]).await;
    let first = hints(&storage).await;
    ask(&server, &["alarm 90000"]).await;
    let later = hints(&storage).await;
    ask(&server, &["alarm 10000"]).await;
    let earlier = hints(&storage).await;
    assert!(
        earlier < first && first < later,
        "{earlier:?} {first:?} {later:?}"
    );
    ask(&server, &["no-alarm"]).await;
    assert_eq!(hints(&storage).await, [0; 0]);
    // Nobody asks the shared storage where the alarm stays.
    let commits = storage.commits();
    ask(&server, &["put k"]).await;
    assert_eq!(storage.commits(), commits + 1);
}

/// As a kill at each of the commits of an event that moves the alarm: the hint before,
/// the object's own, the hint after. What the database says then holds, and comes in time.
#[tokio::test(start_paused = true)]
async fn an_alarm_is_neither_lost_nor_late_wherever_it_is_cut_off() {
    for (first, second) in [("alarm 20000", "alarm 5000"), ("alarm 5000", "alarm 20000")] {
        for (nth, fault) in [
            (1, Fault::Before),
            (1, Fault::After),
            (2, Fault::Before),
            (2, Fault::After),
        ] {
            let storage = faulty();
            let server = ledgers_on(storage.clone()).await;
            ask(&server, &[first]).await;
            storage.fail(nth, fault);
            let told = tell(&server, "a", &[second]).await;
            // The process has died: nothing more of it is stored.
            let case = format!("{first}, {second}, {nth} {fault:?}: {told:?}");
            storage.break_down();
            server.shutdown().await.unwrap();
            storage.repair();

            let server = ledgers_on(storage.clone()).await;
            tokio::time::sleep(Duration::from_secs(6)).await;
            let early = ask(&server, &[ALARMS, "has-alarm"]).await;
            tokio::time::sleep(Duration::from_secs(16)).await;
            let late = ask(&server, &[ALARMS, "has-alarm"]).await;
            assert_eq!(late, "1\nfalse", "{case}");
            assert!(
                ["1\nfalse", "0\ntrue"].contains(&&*early),
                "{case}: {early}"
            );
            assert_eq!(hints(&storage).await, [0; 0], "{case}");
        }
    }
}

/// The hint that is left says too early: it is looked at, and put right.
#[tokio::test(start_paused = true)]
async fn a_hint_that_is_wrong_is_put_right() {
    let storage = faulty();
    let server = ledgers_on(storage.clone()).await;
    ask(&server, &["alarm 5000"]).await;
    // The own commit, then the hint.
    storage.fail(2, Fault::Before);
    ask(&server, &["alarm 30000"]).await;
    let before = hints(&storage).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(hints(&storage).await > before);
    assert_eq!(ask(&server, &[ALARMS, "has-alarm"]).await, "0\ntrue");
    tokio::time::sleep(Duration::from_secs(26)).await;
    assert_eq!(ask(&server, &[ALARMS, "has-alarm"]).await, "1\nfalse");
}

/// What a hint is for is in the file alone.
#[tokio::test(start_paused = true)]
async fn a_hint_without_an_alarm_goes_away_and_so_does_the_object() {
    let storage = faulty();
    let object = ObjectKey {
        class: "Ledger".into(),
        id: [7; 32],
    };
    let hint = wsworker::storage::Alarm {
        at: 1,
        retries: u32::MAX,
    };
    let batch = wsworker::storage::Batch {
        alarm: Some(wsworker::storage::AlarmChange::Set(hint)),
        ..Default::default()
    };
    storage.commit(&object, batch).await.unwrap();
    let server = ledgers_on(storage.clone()).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(hints(&storage).await, [0; 0]);
    assert_eq!(server.handle().objects(), 0);
}

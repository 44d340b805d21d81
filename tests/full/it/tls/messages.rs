//! Messages over TLS: how they lie in records, both ways, and when nobody reads.
//! Does not treat the handshake: `opening` does.

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::sleep;
use tokio_rustls::rustls::SupportedProtocolVersion;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::client::{Client, over};
use super::{certificate, start, start_with};
use crate::raw::{Frame, Head, RawClient, encode_all};
use crate::server::{Event, Recorded, within};

const MIB: usize = 1 << 20;

async fn echoes(client: &mut RawClient, text: &str) {
    client.send(Frame::text(text)).await;
    client.expect_text(text).await;
}

async fn echoes_every_size(version: &'static SupportedProtocolVersion) {
    let tls = certificate();
    let client = Client::of_version(&tls, version);
    let server = Recorded::start_with(|s| s.tls(tls).max_message(2 * MIB)).await;
    let stream = client.connect(server.addr).await;
    let spoken = stream.get_ref().1.protocol_version();
    assert_eq!(spoken, Some(version.version));
    let mut client = over(stream);
    client.handshake(&[]).await;
    echoes(&mut client, "hello").await;
    // Around the size of a record, of what is taken at a time, and of the read buffer.
    for size in [0, 1, 16_384, 16_385, 65_535, 65_536, 131_072, MIB, MIB + 1] {
        let payload: Vec<u8> = (0..size).map(|i| (i * 31 + (i >> 8)) as u8).collect();
        client.send(Frame::binary(&payload)).await;
        client.expect_binary(&payload).await;
    }
    client.close().await;
}

#[test]
fn messages_of_every_size_are_echoed_over_tls_1_3() {
    within(async || echoes_every_size(&TLS13).await);
}

#[test]
fn messages_of_every_size_are_echoed_over_tls_1_2() {
    within(async || echoes_every_size(&TLS12).await);
}

#[test]
fn a_page_and_an_upgrade_share_a_connection() {
    within(async || {
        let (server, client) = start().await;
        let mut client = over(client.connect(server.addr).await);
        let head = Head::get("/page", client.host());
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.text(), "a page");
        client.handshake(&[]).await;
        echoes(&mut client, "hello").await;
        client.close().await;
    });
}

#[test]
fn many_frames_in_one_record_come_back_in_few() {
    within(async || {
        let (server, client) = start().await;
        let (mut client, wire) = client.open_tapped(server.addr).await;
        let before = wire.records().len();
        let frames = (0..500).map(|i| Frame::text(format!("frame {i}")));
        client.send_raw(encode_all(frames)).await;
        for i in 0..500 {
            client.expect_text(&format!("frame {i}")).await;
        }
        let records = wire.records().len() - before;
        assert!(records <= 2, "{records} records for the echo of one");
        client.close().await;
    });
}

#[test]
fn a_large_message_comes_in_full_records() {
    within(async || {
        let (server, client) = start().await;
        let (mut client, wire) = client.open_tapped(server.addr).await;
        let before = wire.records().len();
        let payload = vec![7; MIB - 100];
        client.send(Frame::binary(&payload)).await;
        client.expect_binary(&payload).await;
        let records = wire.records().len() - before;
        // 64 full ones hold a MiB.
        assert!(records <= 80, "{records} records for a MiB");
    });
}

#[test]
fn one_frame_over_many_records_is_one_message() {
    within(async || {
        let (mut server, client) = start().await;
        let mut client = client.open(server.addr).await;
        server.expect(Event::Open).await;
        // Each write of the client is a record of its own.
        for byte in Frame::text("slowly").encode() {
            client.send_raw([byte]).await;
        }
        client.expect_text("slowly").await;
        server.expect(Event::text("slowly")).await;
        client.close().await;
    });
}

#[test]
fn frames_with_the_upgrade_in_one_record_are_heard() {
    within(async || {
        let (server, client) = start().await;
        let mut client = over(client.connect(server.addr).await);
        let mut bytes = client.upgrade().encode();
        bytes.extend(encode_all([Frame::text("one"), Frame::text("two")]));
        client.send_raw(bytes).await;
        client.read_response().await.assert_upgraded();
        client.expect_text("one").await;
        client.expect_text("two").await;
    });
}

#[test]
fn what_a_slow_reader_is_owed_comes_whole_and_in_order() {
    within(async || {
        let (server, client) = start().await;
        let RawClient {
            mut reader,
            mut writer,
            ..
        } = client.open(server.addr).await;
        let message = |i: usize| {
            // Small ones are copied, large ones are written from where they lie.
            let size = [20, 5_000, 70_000, 300][i % 4];
            vec![i as u8; size]
        };
        let sending = tokio::spawn(async move {
            for i in 0..1000 {
                writer.send_raw(Frame::binary(message(i)).encode()).await;
            }
            writer
        });
        for i in 0..1000 {
            if i % 100 == 0 {
                sleep(Duration::from_millis(20)).await;
            }
            let frame = reader.read_frame().await;
            assert!(frame.payload == message(i), "message {i} is another");
        }
        sending.await.unwrap();
    });
}

#[test]
fn a_peer_that_reads_nothing_fills_its_queue_and_gets_all_of_it_later() {
    within(async || {
        let (mut server, client) = start_with(|s| s.max_buffered(200_000)).await;
        let mut client = client.open(server.addr).await;
        server.expect(Event::Open).await;
        let socket = server.opened().await;
        let mut sent = 0_u32;
        // The system takes some MiB before anything waits here.
        while socket.send(filled(sent)).is_ok() {
            sent += 1;
            if sent.is_multiple_of(16) {
                tokio::task::yield_now().await;
            }
            assert!(sent < 10_000, "a full queue never shows");
        }
        assert!(socket.buffered() >= 200_000);
        for i in 0..sent {
            let frame = client.read_frame().await;
            assert!(frame.payload == filled(i), "message {i} is another");
        }
        socket.ready().await.unwrap();
        echoes(&mut client, "after all").await;
        client.close().await;
    });
}

/// Else the last bytes for a slow peer would wait for something else to be sent.
/// What the system has comes also when the server is dropped.
#[test]
fn what_does_not_count_as_buffered_is_with_the_system() {
    within(async || {
        let its_own = Runtime::new().unwrap();
        let (mut server, client) = its_own.spawn(start()).await.unwrap();
        let mut client = client.open(server.addr).await;
        let socket = server.opened().await;
        let (mut sent, mut buffered) = (0, 0);
        while buffered == 0 {
            socket.send(vec![0; 16_000]).unwrap();
            sent += 4 + 16_000;
            // Time for the server to write it, if there is room.
            for _ in 0..50 {
                sleep(Duration::from_millis(1)).await;
                buffered = socket.buffered();
                if buffered == 0 {
                    break;
                }
            }
        }
        its_own.shutdown_background();
        let came = client.reader.read_to_end().await.len();
        let wanted = sent - buffered;
        assert!(came >= wanted, "{came} bytes came of {wanted}");
    });
}

fn filled(i: u32) -> Vec<u8> {
    i.to_be_bytes().repeat(5_000)
}

#[test]
fn a_unix_socket_of_the_same_server_is_plain() {
    within(async || {
        let (server, client) = start().await;
        let mut plain = server.open_unix().await;
        echoes(&mut plain, "in the clear").await;
        let mut secure = client.open(server.addr).await;
        echoes(&mut secure, "hidden").await;
    });
}

//! The start of a TLS connection: versions, ALPN, resumption, and who never gets there.
//! Does not treat certificates.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{AlertDescription, HandshakeKind, SupportedProtocolVersion};

use super::client::{Client, over};
use super::{certificate, start, start_with};
use crate::raw::{DEADLINE, Frame, Head, RawClient};
use crate::server::{Recorded, eventually, within};

/// The first bytes of a handshake whose rest never comes (RFC 8446 §5.1).
const BEGUN: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252];

#[test]
fn http_1_1_is_agreed_on_where_it_is_offered() {
    within(async || {
        let tls = certificate();
        let server = Recorded::start_with(|s| s.tls(tls.clone())).await;
        for offered in [&["h2", "http/1.1"][..], &["http/1.1"]] {
            let client = Client::with_alpn(&tls, offered);
            let stream = client.connect(server.addr).await;
            let agreed = stream.get_ref().1.alpn_protocol();
            assert_eq!(agreed, Some(&b"http/1.1"[..]), "of {offered:?}");
            let mut client = over(stream);
            client.handshake(&[]).await;
            client.close().await;
        }
        let stream = Client::trusting(&tls).connect(server.addr).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), None);
    });
}

#[test]
fn a_client_that_speaks_only_http_2_is_told_so() {
    within(async || {
        let tls = certificate();
        let server = Recorded::start_with(|s| s.tls(tls.clone())).await;
        let client = Client::with_alpn(&tls, &["h2"]);
        let error = client.try_connect(server.addr).await.unwrap_err();
        let error: &tokio_rustls::rustls::Error = error.get_ref().unwrap().downcast_ref().unwrap();
        let wanted = AlertDescription::NoApplicationProtocol;
        let wanted = tokio_rustls::rustls::Error::AlertReceived(wanted);
        assert_eq!(*error, wanted);
        none_is_left(&server).await;
    });
}

async fn resumes(version: &'static SupportedProtocolVersion) {
    let tls = certificate();
    let server = Recorded::start_with(|s| s.tls(tls.clone())).await;
    let client = Client::of_version(&tls, version);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let stream = client.connect(server.addr).await;
        kinds.push(stream.get_ref().1.handshake_kind());
        let mut client = over(stream);
        // The ticket has come when the response has.
        client.handshake(&[]).await;
        client.close().await;
    }
    let wanted = [HandshakeKind::Full, HandshakeKind::Resumed];
    assert_eq!(kinds, wanted.map(Some));
}

#[test]
fn a_session_is_resumed_in_tls_1_3() {
    within(async || resumes(&TLS13).await);
}

#[test]
fn a_session_is_resumed_in_tls_1_2() {
    within(async || resumes(&TLS12).await);
}

#[test]
fn plain_http_on_the_tls_port_gets_a_400_that_says_so() {
    within(async || {
        let (server, _) = start().await;
        let mut page = RawClient::connect(server.addr).await;
        page.send_raw(Head::get("/", page.host()).encode()).await;
        let mut upgrade = RawClient::connect(server.addr).await;
        upgrade.send_raw(upgrade.upgrade().encode()).await;
        for mut client in [page, upgrade] {
            let answer = client.read_response().await;
            assert_eq!(answer.status, 400);
            assert!(answer.text().contains("https://"), "{}", answer.text());
            assert!(answer.text().contains("wss://"), "{}", answer.text());
            assert!(answer.has_token("connection", "close"));
            client.expect_clean_eof().await;
        }
        none_is_left(&server).await;
    });
}

#[test]
fn a_handshake_that_never_ends_is_cut_off_in_time() {
    within(async || {
        let (server, client) = start_with(in_600_ms).await;
        let begun = Instant::now();
        let silent = TcpStream::connect(server.addr).await.unwrap();
        let mut half = TcpStream::connect(server.addr).await.unwrap();
        half.write_all(BEGUN).await.unwrap();
        let slow = TcpStream::connect(server.addr).await.unwrap();
        let (mut slow, mut drip) = slow.into_split();
        let dripping = tokio::spawn(async move {
            for byte in BEGUN.iter().chain(&[0; 200]) {
                if drip.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
        });
        for mut stream in [silent, half] {
            ends(&mut stream).await;
            let took = begun.elapsed();
            assert!(took > Duration::from_millis(500), "{took:?}");
            assert!(took < Duration::from_millis(2000), "{took:?}");
        }
        let end = timeout(DEADLINE, slow.read(&mut [0])).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)), "bytes move no deadline");
        assert!(begun.elapsed() < Duration::from_millis(2000));
        dripping.await.unwrap();
        none_is_left(&server).await;
        client.open(server.addr).await.close().await;
    });
}

#[test]
fn handshake_and_first_request_share_one_deadline() {
    within(async || {
        let (server, client) = start_with(in_600_ms).await;
        let begun = Instant::now();
        let tcp = TcpStream::connect(server.addr).await.unwrap();
        // A good part of the time is over before the handshake begins.
        sleep(Duration::from_millis(400)).await;
        let mut late = over(client.connect_over(tcp).await);
        let answer = late.read_response().await;
        let took = begun.elapsed();
        assert_eq!(answer.status, 408);
        assert!(took < Duration::from_millis(900), "{took:?}");
        late.expect_clean_eof().await;
    });
}

#[test]
fn the_deadline_starts_anew_after_a_response() {
    within(async || {
        let (server, client) = start_with(in_600_ms).await;
        let mut client = over(client.connect(server.addr).await);
        for _ in 0..4 {
            sleep(Duration::from_millis(250)).await;
            client
                .send_raw(Head::get("/page", client.host()).encode())
                .await;
            assert_eq!(client.read_response().await.status, 200);
        }
    });
}

#[test]
fn half_open_handshakes_count_to_the_limit() {
    within(async || {
        let (server, client) = start_with(|s| in_600_ms(s).max_connections(2)).await;
        let handle = server.served.handle.clone();
        let mut half = [
            connect_half(server.addr).await,
            connect_half(server.addr).await,
        ];
        eventually("both are counted", || handle.connections() == 2).await;
        let refused = client.try_connect(server.addr).await;
        assert!(refused.is_err(), "a third is let in");
        for stream in &mut half {
            ends(stream).await;
        }
        none_is_left(&server).await;
        client.open(server.addr).await.close().await;
    });
}

#[test]
fn half_open_handshakes_count_to_the_limit_of_their_address() {
    within(async || {
        let (server, client) = start_with(|s| s.max_connections_per_address(1)).await;
        let handle = server.served.handle.clone();
        let half = connect_half(server.addr).await;
        eventually("it is counted", || handle.connections() == 1).await;
        assert!(client.try_connect(server.addr).await.is_err());
        drop(half);
        none_is_left(&server).await;
        client.open(server.addr).await.close().await;
    });
}

#[test]
fn nonsense_in_a_handshake_ends_that_connection_alone() {
    within(async || {
        let (server, client) = start().await;
        let mut held = client.open(server.addr).await;
        for bytes in [
            &b"\x16\x03\x01\x00\x05hello"[..],
            &[22; 300],
            &[22, 3, 3, 255, 255],
        ] {
            let mut stream = TcpStream::connect(server.addr).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            ends(&mut stream).await;
        }
        held.send(Frame::text("still here")).await;
        held.expect_text("still here").await;
        held.close().await;
        none_is_left(&server).await;
    });
}

fn in_600_ms(server: wsworker::Server) -> wsworker::Server {
    server.handshake_timeout(Duration::from_millis(600))
}

async fn connect_half(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(BEGUN).await.unwrap();
    stream
}

/// Wants the server to end it; an alert may come before.
async fn ends(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
    let _ = end.expect("the server does not end it");
    assert!(rest.len() < 64, "more than an alert came");
}

async fn none_is_left(server: &Recorded) {
    let handle = server.served.handle.clone();
    eventually("no connection is left", || handle.connections() == 0).await;
}

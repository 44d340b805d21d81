//! What `run` says to whoever started it: where it listens, how it ends.
//! Does not log; a log has the same and more, for those who set one up.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
#[cfg(feature = "objects")]
use std::path::Path;
use std::time::Duration;

use humantime::format_duration;

use super::address::Address;

/// Prints on stdout. Nobody may be reading it, which is no reason to fail.
pub(super) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Where the server listens, in TLS if it is `secure`, and how to try it with
/// what people have.
pub(super) fn listening(addresses: &[Address], secure: bool) -> String {
    let s = if secure { "s" } else { "" };
    let mut text = String::new();
    let mut first = None;
    for address in addresses {
        let Address::Tcp(addr) = address else {
            let _ = writeln!(text, "listening on {address}");
            continue;
        };
        let reached = reachable(*addr);
        let _ = match addr.ip() == reached.ip() {
            true => writeln!(text, "listening on ws{s}://{addr}"),
            false => {
                let all = addr.ip();
                writeln!(
                    text,
                    "listening on ws{s}://{reached}, and on every other address ({all})"
                )
            }
        };
        first.get_or_insert(reached);
    }
    if let Some(addr) = first {
        // A certificate is for a name: by address it is best not checked at all,
        // which the second cannot do.
        let commands = match secure {
            true => format!("npx wscat -n -c wss://{addr}/\n"),
            false => format!(
                "npx wscat -c ws://{addr}/\n\
                 \x20   python3 -m websockets ws://{addr}/\n"
            ),
        };
        let _ = write!(
            text,
            "try it, at a path that your worker upgrades (by default all):\n\
             \x20   {commands}\
             \x20   or open http{s}://{addr}/ in a browser, and in its console:\n\
             \x20   {IN_A_CONSOLE}\n"
        );
    }
    text
}

/// Where objects keep their state.
#[cfg(feature = "objects")]
pub(super) fn state(place: &Path) -> String {
    format!("objects keep their state in {}\n", place.display())
}

/// The drain begins.
pub(super) fn draining(open: usize, time: Duration) -> String {
    let (connections, time) = (connections(open), format_duration(time));
    format!("draining {connections}, at most {time}; again to exit at once\n")
}

/// The drain is over.
pub(super) fn drained(dropped: usize) -> String {
    match dropped {
        0 => "drained\n".to_owned(),
        _ => {
            let connections = connections(dropped);
            format!("dropped {connections} that did not end in time\n")
        }
    }
}

fn connections(count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} connection{plural}")
}

/// The address under which this machine reaches one that stands for all.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    addr
}

/// Opens the socket of the page's own address, so that its origin is right.
const IN_A_CONSOLE: &str = r#"ws = new WebSocket(location.href.replace(/^http/, "ws")); ws.onmessage = e => console.log(e.data); ws.onopen = () => ws.send("hello")"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_is_reached() {
        let said = |text: &str| listening(&[text.into()], false);
        assert!(said("127.0.0.1:80").starts_with("listening on ws://127.0.0.1:80\n"));
        let all = said("0.0.0.0:80");
        assert!(
            all.starts_with(
                "listening on ws://127.0.0.1:80, and on every other address (0.0.0.0)\n"
            )
        );
        assert!(all.contains("npx wscat -c ws://127.0.0.1:80/\n"), "{all}");
        let all = said("[::]:80");
        assert!(
            all.starts_with("listening on ws://[::1]:80, and on every other address (::)\n"),
            "{all}"
        );
        assert!(all.contains("open http://[::1]:80/ in"), "{all}");
        assert_eq!(said("unix:/run/x"), "listening on unix:/run/x\n");
        let secure = listening(&["127.0.0.1:443".into()], true);
        assert!(
            secure.starts_with("listening on wss://127.0.0.1:443\n"),
            "{secure}"
        );
        assert!(secure.contains("npx wscat -n -c wss://127.0.0.1:443/\n"));
        assert!(secure.contains("open https://127.0.0.1:443/ in"));
    }

    #[test]
    fn the_end_is_told_in_figures() {
        let time = Duration::from_secs(90);
        assert_eq!(
            draining(12, time),
            "draining 12 connections, at most 1m 30s; again to exit at once\n"
        );
        assert!(draining(1, time).starts_with("draining 1 connection, "));
        assert_eq!(drained(0), "drained\n");
        assert_eq!(
            drained(2),
            "dropped 2 connections that did not end in time\n"
        );
    }
}

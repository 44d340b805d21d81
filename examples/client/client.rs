//! Talks to a WebSocket server from the command line: sends lines, prints what comes.
//!
//! Run it with `cargo run --example client -- ws://127.0.0.1:8787/`; `--help`
//! says what it can do.

#![expect(clippy::print_stdout, reason = "messages go there, and nothing else")]

use std::time::Duration;

use clap::Parser;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::time::{sleep, timeout};
use wsworker::prelude::*;
use wsworker::{State, WebSocketEvents};

/// Sends the lines of its input to a WebSocket server, and prints what comes:
/// messages to stdout, all else to stderr. Status 0 means a normal close.
#[derive(Parser)]
#[command(name = "client")]
struct Options {
    /// The server: ws://, and with the feature `tls` wss:// too.
    url: String,
    /// Leaves after so many messages, for which it waits without end unless there is a
    /// --timeout; with fewer the status is 1.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Without a count, leaves when the input has ended and nothing came for so long.
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Gives up after this time, with status 1: 500ms, 5s, 2m.
    #[arg(short, long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// Sends binary messages instead of text.
    #[arg(short, long)]
    binary: bool,
    /// Offers a subprotocol; may be given several times, the dearest first.
    #[arg(short, long, value_name = "NAME")]
    protocol: Vec<String>,
    /// Sends a header with the request; may be given several times.
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// Trusts servers with a certificate from this authority too: a file in PEM.
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", value_parser = |file: &str| std::fs::read_to_string(file))]
    ca: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options = Options::parse();
    let limit = options.timeout.unwrap_or(Duration::MAX);
    let mut came = 0;
    let ended = timeout(limit, talk(&options, &mut came)).await;
    let ended = ended.unwrap_or_else(|_| Err(Error::new(late(&options, came, limit))));
    if let Err(error) = &ended {
        eprintln!("{error}");
    }
    // A return would wait for one more line.
    std::process::exit(i32::from(!ended.unwrap_or(false)));
}

/// What is said when the time is up.
fn late(options: &Options, came: u64, limit: Duration) -> String {
    match options.count {
        Some(count) => format!("got {came} of {count} messages within {limit:?}"),
        None => format!("not done within {limit:?}"),
    }
}

/// The whole conversation, which counts the messages that came. Was its end what
/// was wanted?
async fn talk(options: &Options, came: &mut u64) -> Result<bool> {
    let mut ws = connect(options).await?;
    let out = WebSocket::clone(&ws); // `next` borrows the events
    let mut lines = BufReader::new(stdin()).lines();
    let mut is_typing = true;
    loop {
        // A server that reads slowly slows the input, and is heard meanwhile.
        let line = async {
            out.ready().await.ok()?; // the close is an event
            lines.next_line().await.transpose()
        };
        let is_waiting = !is_typing && options.count.is_none() && out.state() == State::Open;
        tokio::select! {
            event = ws.next() => match event {
                Some(Event::Message(message)) => {
                    println!("{message}");
                    *came += 1;
                    if options.count == Some(*came) {
                        out.close_with(CloseCode::NORMAL, "")?;
                    }
                }
                Some(Event::Close(close)) => {
                    eprintln!("closed with {close}");
                    let is_normal = matches!(close.code, 1000 | 1005);
                    return Ok(is_normal && options.count.is_none_or(|count| *came >= count));
                }
                Some(Event::Error(error)) => eprintln!("{error}"),
                _ => {}
            },
            line = line, if is_typing => match line {
                Some(line) if options.binary => _ = out.send(line?.into_bytes()),
                Some(line) => _ = out.send(line?),
                None => is_typing = false,
            },
            () = sleep(options.wait), if is_waiting => out.close_with(CloseCode::NORMAL, "")?,
        }
    }
}

async fn connect(options: &Options) -> Result<WebSocketEvents> {
    check(&options.url)?;
    let client = Client::builder().max_message(64 << 20);
    #[cfg(feature = "tls")]
    let client = (options.ca.iter()).fold(client, wsworker::ClientBuilder::root_certificate);
    let mut request = Request::get(&options.url).header("Upgrade", "websocket");
    for name in &options.protocol {
        request = request.add_header("Sec-WebSocket-Protocol", name);
    }
    for (name, value) in &options.header {
        request = request.add_header(name, value);
    }
    let response = client.build()?.fetch(request).await?;
    let ws = response.into_websocket()?.accept();
    eprintln!("connected, {}", ws.protocol().unwrap_or("no subprotocol"));
    Ok(ws)
}

/// What is wrong with a URL, in this program's words.
fn check(url: &str) -> Result<()> {
    if !url.contains("://") {
        return Err(Error::new(format!(
            "'{}' is no URL: wanted one such as ws://127.0.0.1:8787/",
            url.escape_debug()
        )));
    }
    if cfg!(not(feature = "tls")) && (url.starts_with("wss:") || url.starts_with("https:")) {
        return Err(Error::new(
            "this needs the feature `tls`: run it with `cargo run --features tls --example client`",
        ));
    }
    Ok(())
}

fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("wanted 'Name: value'")?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

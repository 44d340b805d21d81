//! Talks to a WebSocket server from the command line: sends the lines that are
//! typed, and prints what comes.
//!
//! Run it with `cargo run --example client -- ws://127.0.0.1:8787/`; `--help`
//! says what it can do. Its status is 0 after a clean close, and 1 otherwise.

#![expect(clippy::print_stdout, reason = "messages go there, and nothing else")]

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::sync::mpsc::{Receiver, channel};
use wsworker::prelude::*;
use wsworker::{Client, Event};

/// Sends the lines that are typed to a WebSocket server, and prints what comes.
/// Messages go to stdout, all else to stderr.
#[derive(Parser)]
#[command(name = "client")]
struct Options {
    /// The server: ws://, and with the feature `tls` wss:// too.
    url: String,
    /// Sends this instead of what is typed, and waits; may be given several times.
    #[arg(short = 'x', long = "send", value_name = "TEXT")]
    send: Vec<String>,
    /// Leaves after so many messages; with fewer the status is 1.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Gives up after so many seconds, with status 1.
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Sends binary messages instead of text.
    #[arg(short, long)]
    binary: bool,
    /// Offers a subprotocol; may be given several times, the dearest first.
    #[arg(short, long, value_name = "NAME")]
    protocol: Vec<String>,
    /// Sends a header with the request; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Says which page is asking, as a browser does.
    #[arg(short, long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// Trusts servers with a certificate from this authority too (PEM).
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE")]
    ca: Option<std::path::PathBuf>,
    /// The largest message that is taken, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    max_message: usize,
    /// Says nothing of opening and closing.
    #[arg(short, long)]
    quiet: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let limit = options.timeout.unwrap_or(Duration::MAX);
    let talked = tokio::time::timeout(limit, talk(&options)).await;
    match talked.unwrap_or_else(|_| Err(Error::new(format!("not closed after {limit:?}")))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The whole conversation. Was its end what was wanted?
async fn talk(options: &Options) -> Result<bool> {
    let mut ws = connect(options).await?;
    let mut lines = match options.send.is_empty() {
        true => Some(typed()),
        false => None,
    };
    for text in &options.send {
        ws.ready().await?;
        ws.send(message(options, text))?;
    }
    // A handle of its own: `next` borrows the events.
    let out = WebSocket::clone(&ws);
    let mut left = options.count;
    while left != Some(0) {
        tokio::select! {
            event = ws.next() => match event {
                Some(Event::Message(message)) => {
                    print(&message);
                    left = left.map(|count| count - 1);
                }
                Some(Event::Close(close)) => return Ok(closed(options, &close) && left.is_none()),
                Some(Event::Error(error)) => eprintln!("{error}"),
                _ => {}
            },
            // A server that reads slowly slows this side, which prints meanwhile.
            line = next(&out, &mut lines) => match line? {
                Some(line) => ws.send(message(options, &line))?,
                // With a count there are answers to wait for.
                None if left.is_some() => lines = None,
                None => break,
            },
        }
    }
    ws.close_with(CloseCode::NORMAL, "")?;
    while let Some(event) = ws.next().await {
        if let Event::Close(close) = event {
            return Ok(closed(options, &close));
        }
    }
    Ok(false)
}

async fn connect(options: &Options) -> Result<wsworker::WebSocketEvents> {
    let client = Client::builder().max_message(options.max_message);
    #[cfg(feature = "tls")]
    let client = match &options.ca {
        Some(file) => client.root_certificate(std::fs::read(file)?),
        None => client,
    };
    let mut request = Request::get(&options.url).header("Upgrade", "websocket");
    if !options.protocol.is_empty() {
        request = request.header("Sec-WebSocket-Protocol", options.protocol.join(", "));
    }
    if let Some(origin) = &options.origin {
        request = request.header("Origin", origin);
    }
    for (name, value) in &options.headers {
        request = request.header(name, value);
    }
    let response = client.build()?.fetch(request).await?;
    let ws = response.into_websocket()?.accept();
    say(
        options,
        &match ws.protocol() {
            Some(protocol) => format!("connected, speaking {protocol}"),
            None => "connected".to_owned(),
        },
    );
    Ok(ws)
}

/// The lines that are typed. On a thread of its own, which does not keep the
/// process alive.
fn typed() -> Receiver<std::io::Result<String>> {
    let (line, lines) = channel(1);
    std::thread::spawn(move || {
        for text in std::io::stdin().lines() {
            if line.blocking_send(text).is_err() {
                break;
            }
        }
    });
    lines
}

/// The next line, once there is room to send it; none after the last.
async fn next(
    ws: &WebSocket,
    lines: &mut Option<Receiver<std::io::Result<String>>>,
) -> Result<Option<String>> {
    let Some(lines) = lines else {
        return std::future::pending().await;
    };
    match ws.ready().await {
        // The close is an event.
        Err(_) => std::future::pending().await,
        Ok(()) => Ok(lines.recv().await.transpose()?),
    }
}

fn message(options: &Options, text: &str) -> Message {
    match options.binary {
        true => Message::from(text.as_bytes()),
        false => Message::from(text),
    }
}

fn print(message: &Message) {
    match message.as_text() {
        Some(text) => println!("{text}"),
        None => println!("{}", message.as_bytes().escape_ascii()),
    }
}

/// Says how it closed. Was it clean?
fn closed(options: &Options, close: &CloseEvent) -> bool {
    let reason = match close.reason.is_empty() {
        true => String::new(),
        false => format!(" ({})", close.reason),
    };
    say(options, &format!("closed with {}{reason}", close.code));
    close.was_clean
}

fn say(options: &Options, text: &str) {
    if !options.quiet {
        eprintln!("{text}");
    }
}

fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("wanted 'Name: value'")?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().map(Duration::try_from_secs_f64);
    seconds
        .and_then(|s: Result<_, _>| s.ok())
        .ok_or("wanted a number of seconds")
}

//! The guide "Using WebSockets", in its order: a worker that serves WebSockets
//! and the page that opens one, and a worker's code that opens one itself.
//!
//! Run it with `cargo run --example guide` and open http://127.0.0.1:8787/ in a
//! browser; at /client it is the client, of itself or of the server that the
//! variable SERVER names.

#![expect(clippy::print_stdout, reason = "the guide's console.log")]

use wsworker::prelude::*;

// # Writing a WebSocket Server

/// ## Connecting to the WebSocket server from a client
const PAGE: &str = r#"<!doctype html>
<title>Using WebSockets</title>
<button id=send>send</button> <button id=close>close</button>
<pre id=log></pre>
<script>
  const log = line => document.getElementById('log').append(line + '\n');

  const websocket = new WebSocket(location.href.replace('http', 'ws') + 'ws');
  websocket.addEventListener('message', event => {
    log('Message received from server');
    log(event.data);
  });
  websocket.addEventListener('close', event => log('closed with ' + event.code));

  document.getElementById('send').onclick = () => websocket.send('MESSAGE');
  document.getElementById('close').onclick = () => websocket.close();
</script>
"#;

#[worker]
#[derive(Clone)]
struct Guide;

impl Worker for Guide {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        match req.path() {
            "/" => Ok(Response::html(PAGE)),
            "/ws" => handle_request(&req),
            "/client" => {
                let url = env.var("SERVER").unwrap_or("ws://127.0.0.1:8787/ws");
                Ok(Response::text(websocket(url).await?))
            }
            _ => Response::error("Not found", 404),
        }
    }
}

fn handle_request(request: &Request) -> Result<Response> {
    // Written as in the guide; leave these lines out: `upgrade()?` answers 426 with
    // the `Upgrade` header, takes `WebSocket` in any case, and checks the rest.
    let upgrade_header = request.header("Upgrade");
    if upgrade_header != Some("websocket") {
        return Response::error("Expected Upgrade: websocket", 426);
    }
    let upgrade = request.upgrade()?;

    let (client, server) = WebSocketPair::new();

    // By value: an end is accepted once, or goes out to a client.
    let mut server = server.accept();
    wsworker::spawn(async move {
        while let Some(event) = server.next().await {
            match event {
                Event::Message(message) => {
                    println!("{message}");
                    server.send(message)?;
                }
                Event::Close(close) => println!("closed with {close}"),
                other => println!("{other:?}"),
            }
        }
        Ok(())
    });

    // Status 101, with its headers.
    Ok(upgrade.respond(client))
}

// # Writing a WebSocket client

/// Says hello to a server, and gives what it answers.
async fn websocket(url: &str) -> Result<String> {
    // Key, version and the check of the answer are done by `fetch`.
    let resp = wsworker::fetch(Request::get(url).header("Upgrade", "websocket")).await?;

    // Else: the WebSocket handshake failed, server didn't accept WebSocket.
    let ws = resp.into_websocket()?;

    // To handle it here. Returned, `Ok(resp)` would join it with our own client.
    let mut ws = ws.accept();

    ws.send("hello")?;
    while let Some(event) = ws.next().await {
        if let Event::Message(msg) = event {
            println!("{msg}");
            ws.close()?;
            return Ok(msg.to_string());
        }
    }
    Err(Error::new("the server closed without an answer"))
}

// # Durable Objects and WebSocket state: not yet. Connections share state through
// an `Arc` in the worker's value meanwhile, within one process.

fn main() -> Result<()> {
    wsworker::run(Guide)
}

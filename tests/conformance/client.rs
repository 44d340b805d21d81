//! An echo client for Autobahn's fuzzing server: goes through all its cases, and
//! has it write its report.
//!
//! echo-client ws://127.0.0.1:9001

use wsworker::WebSocketEvents;
use wsworker::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let server = std::env::args().nth(1);
    let server = server.ok_or_else(|| Error::new("usage: echo-client ws://HOST:PORT"))?;
    // Group 9 has messages of 16 MiB.
    let client = Client::builder().max_message(32 << 20).build()?;
    let open = async |path: &str| -> Result<WebSocketEvents> {
        let response = client.fetch(format!("{server}{path}")).await?;
        Ok(response.into_websocket()?.accept())
    };

    let mut counting = open("/getCaseCount").await?;
    let mut count = None;
    while let Some(event) = counting.next().await {
        if let Event::Message(message) = event {
            count = message.as_text().map(str::parse::<u32>).transpose()?;
        }
    }
    let count = count.ok_or_else(|| Error::new("the server says no count of cases"))?;
    for case in 1..=count {
        echo(open(&format!("/runCase?case={case}&agent=wsworker")).await?).await;
    }
    let mut updating = open("/updateReports?agent=wsworker").await?;
    while updating.next().await.is_some() {}
    Ok(())
}

async fn echo(mut ws: WebSocketEvents) {
    while let Some(event) = ws.next().await {
        if let Event::Message(message) = event {
            // A case may have closed it: that is the next event. It is never full,
            // since it is not read on while much waits to be sent.
            let _ = ws.ready().await.and_then(|()| ws.send(message));
        }
    }
}

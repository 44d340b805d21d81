//! Pages of another origin than the server's.
//! Does not treat the rules of origins: `tests/it` does, by bytes.

use serde_json::{Value, json};

use crate::chromium::{Browser, browse};
use crate::server::{Event, Recorded};
use crate::sockets::{run, start};

/// How a socket to this server ends, or that it opens.
async fn connect(browser: &Browser, server: &Recorded) -> Value {
    let url = browser.url("ws", server.addr);
    let script = "
        const ws = new WebSocket(arguments[0]);
        const end = closed(ws);
        return await opened(ws).then(() => 'open', () => end);
    ";
    run(browser, script, [json!(url)]).await
}

#[test]
fn a_page_of_a_foreign_origin_is_refused() {
    browse(async |browser| {
        let mut server = start(browser, |server| server).await;
        // Another port is another origin.
        let _foreign = start(browser, |server| server).await;
        let refused = json!({
            "code": 1006,
            "reason": "",
            "wasClean": false,
            "error": true,
        });
        assert_eq!(connect(browser, &server).await, refused);
        let console = browser.console().await;
        let told = console.iter().any(|line| line.contains("403"));
        assert!(told, "no 403 in {console:#?}");
        server.expect_quiet().await;
    });
}

#[test]
fn a_page_of_a_listed_origin_is_let_in() {
    browse(async |browser| {
        let page = start(browser, |server| server).await;
        let origin = browser.url("http", page.addr);
        let mut server = Recorded::start_with(|server| match browser.secure {
            true => server.origins([origin]).tls(browser.tls.clone()),
            false => server.origins([origin]),
        })
        .await;
        assert_eq!(connect(browser, &server).await, json!("open"));
        server.expect(Event::Open).await;
    });
}

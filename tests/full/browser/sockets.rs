//! A browser's own `WebSocket` against the server: messages, subprotocols,
//! closes, as a script on a page sees them.

use serde_json::{Value, json};
use wsworker::Server;

use crate::chromium::{Browser, browse};
use crate::server::{Event, Recorded};

/// For scripts on a page: `opened(ws)`, `next(ws)` and `closed(ws)`, each a
/// promise; and the URL of the page's own server for a socket.
const HELPERS: &str = "
    const url = location.origin.replace(/^http/, 'ws');
    const event = (ws, name) => new Promise((resolve, reject) => {
        ws.addEventListener(name, resolve, { once: true });
        ws.addEventListener('close', ({ code, reason, wasClean }) => {
            reject(new Error(`closed: ${code} ${reason} ${wasClean}`));
        });
    });
    const opened = ws => event(ws, 'open');
    const next = async ws => (await event(ws, 'message')).data;
    const closed = ws => new Promise(resolve => {
        let error = false;
        ws.addEventListener('error', () => { error = true; });
        ws.addEventListener('close', ({ code, reason, wasClean }) => {
            resolve({ code, reason, wasClean, error });
        });
    });
";

/// Starts a recorder, with a page of its origin in the browser.
pub async fn start(browser: &Browser, configure: impl FnOnce(Server) -> Server) -> Recorded {
    let server = Recorded::start_with(|server| match browser.secure {
        true => configure(server).tls(browser.tls.clone()),
        false => configure(server),
    })
    .await;
    let page = format!("{}/page", server.addr);
    browser.goto(&browser.url("http", page)).await;
    server
}

/// Runs a script with the helpers.
pub async fn run(browser: &Browser, script: &str, arguments: impl Into<Vec<Value>>) -> Value {
    browser.run(&format!("{HELPERS}{script}"), arguments).await
}

#[test]
fn binary_messages_come_back_as_they_were() {
    browse(async |browser| {
        let mut server = start(browser, |server| server).await;
        let script = "
            const ws = new WebSocket(url);
            ws.binaryType = 'arraybuffer';
            await opened(ws);
            ws.send(Uint8Array.from({ length: 256 }, (_, i) => i));
            const first = [...new Uint8Array(await next(ws))];
            ws.binaryType = 'blob';
            ws.send(new Blob(['of a blob']));
            const second = await (await next(ws)).text();
            ws.send(new ArrayBuffer(0));
            const third = (await next(ws)).size;
            return [first, second, third];
        ";
        let came = run(browser, script, []).await;
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(came, json!([bytes, "of a blob", 0]));
        server.expect(Event::Open).await;
        server.expect(Event::Binary(bytes)).await;
        server.expect(Event::Binary(b"of a blob".to_vec())).await;
        server.expect(Event::Binary(Vec::new())).await;
    });
}

#[test]
fn a_text_of_1_mib_comes_back_and_a_byte_more_is_closed_with_1009() {
    browse(async |browser| {
        let mut server = start(browser, |server| server).await;
        let script = "
            const ws = new WebSocket(url);
            await opened(ws);
            const whole = 'é'.repeat(1 << 19);
            ws.send(whole);
            const same = await next(ws) === whole;
            const end = closed(ws);
            ws.send(whole + 'x');
            return [same, await end];
        ";
        let came = run(browser, script, []).await;
        assert_eq!(came[0], json!(true), "the text came back");
        assert_eq!(came[1]["code"], json!(1009), "{came}");
        assert_eq!(came[1]["wasClean"], json!(true), "{came}");
        server.expect(Event::Open).await;
        server.expect(Event::text("é".repeat(1 << 19))).await;
    });
}

#[test]
fn the_chosen_subprotocol_is_seen() {
    browse(async |browser| {
        let preferring = |server: Server| server.protocols(["chat.v2", "chat.v1"]);
        let _server = start(browser, preferring).await;
        let script = "
            const chosen = [];
            for (const offered of [['chat.v1', 'other', 'chat.v2'], ['chat.v1'], []]) {
                const ws = new WebSocket(url, offered);
                await opened(ws);
                chosen.push(ws.protocol);
                ws.close();
            }
            // The browser's rule: one that was offered must be chosen.
            const refused = await closed(new WebSocket(url, ['other']));
            return [chosen, refused.code];
        ";
        let came = run(browser, script, []).await;
        assert_eq!(came, json!([["chat.v2", "chat.v1", ""], 1006]));
    });
}

#[test]
fn closes_are_seen_on_both_sides_with_code_and_reason() {
    browse(async |browser| {
        let mut server = start(browser, |server| server).await;
        let script = "
            const [name, code, reason] = arguments;
            const ws = new WebSocket(url);
            await opened(ws);
            const end = closed(ws);
            if (name === 'server') ws.send(`!close ${code} ${reason}`);
            else ws.close(code, reason);
            return await end;
        ";
        let close = async |name: &str| {
            let arguments = [json!(name), json!(4001), json!("enough é")];
            run(browser, script, arguments).await
        };
        let wanted = json!({
            "code": 4001,
            "reason": "enough é",
            "wasClean": true,
            "error": false,
        });
        assert_eq!(close("server").await, wanted);
        server.expect(Event::Open).await;
        server.expect(Event::text("!close 4001 enough é")).await;
        server.expect(Event::clean(4001, "enough é")).await;
        assert_eq!(close("browser").await, wanted);
        server.expect(Event::Open).await;
        server.expect(Event::clean(4001, "enough é")).await;
    });
}

#[test]
fn a_page_that_is_loaded_again_closes_with_1001() {
    browse(async |browser| {
        let mut server = start(browser, |server| server).await;
        let script = "
            window.kept = new WebSocket(url);
            await opened(window.kept);
        ";
        run(browser, script, []).await;
        server.expect(Event::Open).await;
        // One that is left for another may be kept, with its socket, to go back to.
        browser.reload().await;
        server.expect(Event::clean(1001, "")).await;
    });
}

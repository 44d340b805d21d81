//! Chromium and what drives it: chromedriver, by the WebDriver protocol.
//! Does not know what is on a page.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel, WindowHandle};
use tokio::time::sleep;
use wsworker::Tls;

use crate::files::Files;
use crate::program::Program;
use crate::server::within_time;

/// A browser takes seconds to start, and more on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// How long a page may take to show something.
const PATIENCE: Duration = Duration::from_secs(20);

/// Nothing that it does by itself, and nothing outside this machine.
const FLAGS: [&str; 11] = [
    "--headless",
    // It refuses to run as root with one. Every page here is ours.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

/// Runs a test with a browser of its own, twice: the servers speak plain TCP,
/// then TLS. One browser runs at a time.
pub fn browse(test: impl AsyncFn(&Browser) + Send + 'static) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut driver = Driver::start();
    let (url, temp) = (driver.url(), driver.temp.path().to_owned());
    within_time(LIMIT, async move || {
        let mut browser = Browser::open(&url, &temp).await;
        for secure in [false, true] {
            println!("over {}", if secure { "TLS" } else { "TCP" });
            browser.secure = secure;
            test(&browser).await;
        }
        browser.quit().await;
    });
}

/// A running chromedriver. It leads a process group, in which its Chromium is
/// too: all of it is killed when this is dropped, also when a test hangs.
struct Driver {
    program: Program,
    /// What both write goes here, and with it.
    temp: TempDir,
}

impl Driver {
    fn start() -> Driver {
        let temp = tempfile::tempdir().unwrap();
        let mut command = Command::new(installed("chromedriver"));
        command.arg("--port=0").process_group(0);
        command.env("TMPDIR", temp.path());
        let program = Program::start(command, &[]);
        Driver { program, temp }
    }

    fn url(&mut self) -> String {
        let line = self.program.says("was started successfully on port ");
        let port = line.rsplit(' ').next().unwrap().trim_end_matches('.');
        format!("http://127.0.0.1:{port}")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = kill_process_group(self.program.pid(), Signal::KILL);
    }
}

/// Where it is installed.
fn installed(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).map(|dir| dir.join(name));
    places.find(|file| file.is_file()).unwrap_or_else(|| {
        panic!(
            "'{name}' is not installed, and these tests drive a real browser: \
             install it, on Debian by `apt-get install chromium chromium-driver`"
        )
    })
}

/// A browser with one page. It trusts the certificates that it comes with.
pub struct Browser {
    /// None after [`Browser::quit`].
    driver: Option<WebDriver>,
    /// Do the servers of this test speak TLS?
    pub secure: bool,
    /// For servers in this process.
    pub tls: Tls,
    /// For servers that are programs.
    pub files: Files,
}

impl Browser {
    async fn open(driver: &str, temp: &Path) -> Browser {
        let tls = Tls::self_signed(["localhost", "127.0.0.1"]).unwrap();
        let files = Files::new();
        let mut wanted = DesiredCapabilities::chrome();
        let binary = installed("chromium");
        wanted.set_binary(binary.to_str().unwrap()).unwrap();
        for flag in FLAGS {
            wanted.add_arg(flag).unwrap();
        }
        let [own, program] = [&tls, &files.tls].map(|tls| tls.spki_sha256().unwrap());
        for flag in [
            format!("--user-data-dir={}", temp.join("profile").display()),
            format!("--ignore-certificate-errors-spki-list={own},{program}"),
        ] {
            wanted.add_arg(&flag).unwrap();
        }
        let all = LoggingPrefsLogLevel::All;
        wanted.set_browser_log_level(all).unwrap();
        // Whatever the environment says of proxies.
        let direct = reqwest::Client::builder().no_proxy().build().unwrap();
        let driver = WebDriver::builder(driver, wanted).client(direct).await;
        let driver = driver.expect("Chromium does not start");
        Browser {
            driver: Some(driver),
            secure: false,
            tls,
            files,
        }
    }

    async fn quit(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.quit().await.expect("Chromium does not quit");
        }
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().expect("it has not quit")
    }

    /// A URL of a server of this test: `http` or `ws`, with an `s` for TLS.
    pub fn url(&self, scheme: &str, rest: impl std::fmt::Display) -> String {
        format!("{scheme}{}://{rest}", if self.secure { "s" } else { "" })
    }

    pub async fn goto(&self, url: &str) {
        let gone = self.driver().goto(url).await;
        gone.unwrap_or_else(|e| panic!("cannot open {url}: {e}"));
    }

    /// The tab that is talked to.
    pub async fn tab(&self) -> WindowHandle {
        self.driver().window().await.unwrap()
    }

    /// Opens one more tab, and talks to that.
    pub async fn new_tab(&self) -> WindowHandle {
        let tab = self.driver().new_tab().await.unwrap();
        self.switch_to(&tab).await;
        tab
    }

    pub async fn switch_to(&self, tab: &WindowHandle) {
        self.driver().switch_to_window(tab.clone()).await.unwrap();
    }

    /// Closes one, and talks to another.
    pub async fn close_tab(&self, tab: &WindowHandle, next: &WindowHandle) {
        self.switch_to(tab).await;
        self.driver().close_window().await.unwrap();
        self.switch_to(next).await;
    }

    /// As by a keyboard, with a return at the end.
    pub async fn enter(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        element.send_keys(format!("{text}\n")).await.unwrap();
    }

    /// What is to be seen, into a file, if the environment names a folder for it.
    pub async fn picture(&self, name: &str) {
        if let Some(folder) = env::var_os("PICTURES") {
            let file = Path::new(&folder).join(name);
            self.driver().screenshot(&file).await.unwrap();
        }
    }

    pub async fn reload(&self) {
        self.driver().refresh().await.unwrap();
    }

    /// As by a mouse.
    pub async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        let clicked = element.click().await;
        clicked.unwrap_or_else(|e| panic!("cannot click {selector}: {e}"));
    }

    pub async fn is_enabled(&self, selector: &str) -> bool {
        self.element(selector).await.is_enabled().await.unwrap()
    }

    /// The text that is to be seen there.
    pub async fn text(&self, selector: &str) -> String {
        self.element(selector).await.text().await.unwrap()
    }

    /// None too while the page makes it, or makes it anew.
    async fn text_so_far(&self, selector: &str) -> Option<String> {
        let element = self.driver().find(By::Css(selector)).await.ok()?;
        element.text().await.ok()
    }

    /// Waits until this text is to be seen there.
    pub async fn shows(&self, selector: &str, wanted: &str) {
        let begun = Instant::now();
        loop {
            let text = self.text_so_far(selector).await.unwrap_or_default();
            if text == wanted {
                return;
            }
            if begun.elapsed() > PATIENCE {
                let console = self.console().await;
                panic!("{selector} shows '{text}', wanted '{wanted}'; console: {console:#?}");
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Runs the body of an async function on the page, where `arguments` are
    /// these; gives what it returns.
    pub async fn run(&self, body: &str, arguments: impl Into<Vec<Value>>) -> Value {
        let script = format!("return (async () => {{{body}}})();");
        let returned = self.driver().execute(script, arguments.into()).await;
        match returned {
            Ok(value) => value.json().clone(),
            Err(error) => panic!("{error}; console: {:#?}", self.console().await),
        }
    }

    /// What the page's console got since it was last asked.
    pub async fn console(&self) -> Vec<String> {
        let log = self.driver().browser_log().await.unwrap();
        log.into_iter().map(|entry| entry.message).collect()
    }

    async fn element(&self, selector: &str) -> WebElement {
        let found = self.driver().find(By::Css(selector)).await;
        found.unwrap_or_else(|e| panic!("no {selector}: {e}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A test failed, and its driver is about to be killed: nothing to ask it for.
        if let Some(driver) = self.driver.take() {
            let _ = driver.leak();
        }
    }
}

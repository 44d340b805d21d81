//! SIGINT and SIGTERM under `run`: the first asks for an end, the second is one.
//! Does not drain: whoever waits for the first does.
//!
//! No thread listens: a process with one thread is spared every lock and atomic
//! that the kernel and the C library keep for more.

use std::io;

use crate::error::{Error, Result};

/// Hears signals while it lives. Afterwards one ends the process, as it does
/// where nobody listens.
pub(super) struct Signals(imp::Signals);

impl Signals {
    /// Listens from now on. Inside the runtime on which `first` is awaited.
    pub(super) fn hear() -> Result<Self> {
        let heard = imp::Signals::hear();
        heard.map(Self).map_err(cannot_listen)
    }

    /// Resolves at the first signal, also one that came before the call. From
    /// then on the next ends the process.
    pub(super) async fn first(&mut self) {
        self.0.first().await;
    }
}

fn cannot_listen(error: io::Error) -> Error {
    Error::io("cannot listen for signals", error)
}

#[cfg(unix)]
mod imp {
    use std::future::poll_fn;
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub(super) struct Signals {
        interrupt: Signal,
        terminate: Signal,
        armed: Arc<AtomicBool>,
    }

    impl Signals {
        pub(super) fn hear() -> io::Result<Self> {
            let armed = armed()?;
            armed.store(false, Ordering::SeqCst);
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                armed,
            })
        }

        pub(super) async fn first(&mut self) {
            poll_fn(|cx| match self.interrupt.poll_recv(cx) {
                heard if heard.is_ready() => heard.map(drop),
                _ => self.terminate.poll_recv(cx).map(drop),
            })
            .await;
        }
    }

    impl Drop for Signals {
        fn drop(&mut self) {
            self.armed.store(true, Ordering::SeqCst);
        }
    }

    /// Set by a first signal; a later one finds it set and exits, inside the
    /// signal's handler: whatever blocks every thread does not keep Ctrl-C from
    /// working. One for the process, as handlers stay.
    static ARMED: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);

    fn armed() -> io::Result<Arc<AtomicBool>> {
        let mut kept = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(armed) = &*kept {
            return Ok(armed.clone());
        }
        let armed = Arc::new(AtomicBool::new(false));
        // The status of a process that died of it.
        for (signal, status) in [(SIGINT, 128 + SIGINT), (SIGTERM, 128 + SIGTERM)] {
            // In this order: the first must find the flag as it was before it.
            flag::register_conditional_shutdown(signal, status, armed.clone())?;
            flag::register(signal, armed.clone())?;
        }
        Ok(kept.insert(armed).clone())
    }
}

#[cfg(not(unix))]
mod imp {
    use std::future::pending;
    use std::io;

    pub(super) struct Signals;

    impl Signals {
        pub(super) fn hear() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn first(&mut self) {
            // Without it there is no orderly end, and nothing else to wait for.
            if tokio::signal::ctrl_c().await.is_err() {
                pending::<()>().await;
            }
            tokio::spawn(async {
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(130);
                }
            });
        }
    }
}

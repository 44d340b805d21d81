//! A server as `testing` starts it: in memory or on loopback, and nowhere else.
//! Changes nothing of how it serves.

use super::Server;
use super::address::{Address, Listener};
use super::listening::{DEFAULT_ADDRESS, Listening};
use super::settings::Settings;
use crate::connection::Place;
use crate::error::{Error, Result};

impl Server {
    /// As [`listen`](Self::listen), in this process's memory.
    pub(crate) fn listen_in_memory(self) -> Result<(Listening, Place)> {
        let settings = plain(self.settings);
        settings.check()?;
        let (place, listener) = Place::in_memory();
        // A name for the log: there is no address.
        let address = Address::Name("memory".into());
        let bound = vec![(address, Listener::Memory(listener))];
        Ok((Listening::on(self.entry, settings, bound)?, place))
    }

    /// As [`listen`](Self::listen), on a free port of this machine alone.
    pub(crate) async fn listen_on_loopback(self) -> Result<(Listening, Place)> {
        let mut settings = plain(self.settings);
        let (loopback, _) = DEFAULT_ADDRESS;
        settings.addresses = vec![Address::Tcp((loopback, 0).into())];
        let listening = Listening::bind(self.entry, settings).await?;
        match listening.local_addrs() {
            [Address::Tcp(addr)] => {
                let place = Place::Tcp(*addr);
                Ok((listening, place))
            }
            other => Err(Error::new(format!("wanted one TCP address, got {other:?}"))),
        }
    }
}

/// Without TLS, which a test's client has no authority for, and with objects whose
/// state is gone with the test, if nothing else is said.
fn plain(mut settings: Settings) -> Settings {
    #[cfg(feature = "objects")]
    if settings.objects.data.is_none() {
        let memory = || std::sync::Arc::new(crate::storage::MemoryStorage::new()) as _;
        settings.objects.storage.get_or_insert_with(memory);
    }
    #[cfg(feature = "tls")]
    {
        settings.tls = None;
    }
    settings
}

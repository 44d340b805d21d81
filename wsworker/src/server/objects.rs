//! A server's Durable Objects: which classes, and where their state lies.
//! Does not run them; `object` does.

use std::fmt;
use std::path::{self, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Server;
use crate::env::Env;
use crate::error::Result;
use crate::log::warn;
use crate::object::{self, DurableObject, Registration};
use crate::storage::{SqliteStorage, Storage};

/// What is said of them.
#[derive(Clone, Default)]
pub(super) struct Objects {
    pub(super) classes: Vec<Registration>,
    pub(super) storage: Option<Arc<dyn Storage>>,
    pub(super) data: Option<PathBuf>,
}

/// Those of a server that serves, with the tasks that wake them and put them to sleep.
pub(super) struct Living {
    objects: Arc<object::Objects>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Knows the objects of this class, as `#[worker(objects(…))]` does.
    pub fn object<T: DurableObject>(mut self) -> Self {
        self.settings.objects.classes.push(Registration::of::<T>());
        self
    }

    /// The directory in which objects keep their state, made if it is not there.
    /// Default: `wsworker-data`, in the current directory. Looked at only if there is
    /// a class of objects.
    pub fn data(mut self, directory: impl Into<PathBuf>) -> Self {
        self.settings.objects.data = Some(directory.into());
        self
    }

    /// Where objects keep their state, instead of the directory
    /// [`data`](Self::data).
    pub fn storage(mut self, storage: impl Storage) -> Self {
        self.settings.objects.storage = Some(Arc::new(storage));
        self
    }
}

impl Objects {
    /// Where state will lie, if there is any and it has a place.
    pub(super) fn place(&self) -> Option<PathBuf> {
        let kept = !self.classes.is_empty() && self.storage.is_none();
        let place = kept.then(|| self.directory())?;
        Some(path::absolute(&place).unwrap_or(place))
    }

    fn directory(&self) -> PathBuf {
        self.data.clone().unwrap_or(DATA.into())
    }

    /// Puts them into the surroundings, if there are any.
    pub(super) fn install(self, env: &Env) -> Result<Option<Arc<object::Objects>>> {
        if self.classes.is_empty() {
            return Ok(None);
        }
        let storage = match &self.storage {
            Some(storage) => storage.clone(),
            None => Arc::new(SqliteStorage::open(self.directory())?),
        };
        object::Objects::install(env, &self.classes, storage).map(Some)
    }
}

impl Living {
    /// On the current runtime.
    pub(super) fn start(objects: Arc<object::Objects>) -> Self {
        let mut tasks = JoinSet::new();
        objects.run(&mut tasks);
        Self { objects, tasks }
    }

    /// Fires nothing more, waits for what is being committed and for the work that events
    /// have started, and lets objects go.
    pub(super) async fn end(&mut self, time: Duration) {
        self.tasks.shutdown().await;
        if timeout(time, self.objects.settle()).await.is_err() {
            let left = self.objects.busy();
            warn(&format!(
                "dropping {left} commits and works of wait_until and after_commit, which were not \
                 done in time"
            ));
        }
        self.objects.close().await;
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.classes.iter().map(Registration::name).collect();
        f.debug_struct("Objects")
            .field("classes", &names)
            .finish_non_exhaustive()
    }
}

/// Where state lies if nothing is said.
const DATA: &str = "wsworker-data";

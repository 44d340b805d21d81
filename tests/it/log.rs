//! What the library logs while a test runs on this thread.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Event, Level, Metadata, Subscriber};

/// Collects the messages of warnings and errors.
pub struct Logged {
    lines: Arc<Mutex<Vec<String>>>,
    _collecting: DefaultGuard,
}

impl Logged {
    pub fn start() -> Logged {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        Logged {
            lines: lines.clone(),
            _collecting: set_default(Collector(lines)),
        }
    }

    /// Those so far with this text in them, which are taken out.
    pub fn take(&self, text: &str) -> Vec<String> {
        let mut lines = self.lines.lock().unwrap();
        lines.extract_if(.., |line| line.contains(text)).collect()
    }
}

struct Collector(Arc<Mutex<Vec<String>>>);

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message(&self.0));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Message<'a>(&'a Mutex<Vec<String>>);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

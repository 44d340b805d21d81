//! What SQL may do: SQLite asks before it prepares a statement, and while it runs.
//! Does not guard against the program itself, which has the file; it keeps SQL from
//! breaking what an event promises.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, Result};

use super::file::OURS;

/// Of one connection. Idle while it runs our own statements.
#[derive(Clone)]
pub(super) struct Guard {
    state: Arc<Mutex<State>>,
    /// Nobody has any of the databases any more.
    closing: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    /// SQL of the object runs, until then.
    deadline: Option<Instant>,
    /// What it was refused.
    refused: Option<String>,
}

impl Guard {
    pub(super) fn of(connection: &mut Connection, closing: Arc<AtomicBool>) -> Result<Self> {
        let state = Arc::default();
        let guard = Self { state, closing };
        let asked = guard.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| asked.decide(&context)))?;
        let asked = guard.clone();
        connection.progress_handler(STEPS, Some(move || asked.is_late()))?;
        Ok(guard)
    }

    /// What runs now is the object's SQL; without a deadline, ours.
    pub(super) fn watch(&self, deadline: Option<Instant>) {
        self.state().deadline = deadline;
    }

    /// What was refused last, if that is why a statement failed.
    pub(super) fn take_refused(&self) -> Option<String> {
        self.state().refused.take()
    }

    fn is_late(&self) -> bool {
        let late = |deadline| self.closing.load(Ordering::Acquire) || Instant::now() >= deadline;
        self.state().deadline.is_some_and(late)
    }

    fn decide(&self, context: &AuthContext<'_>) -> Authorization {
        let mut state = self.state();
        if state.deadline.is_none() {
            return Authorization::Allow;
        }
        if let AuthAction::Analyze { table_name } = context.action
            && is_ours(table_name)
        {
            return Authorization::Ignore;
        }
        match refusal(&context.action) {
            None => Authorization::Allow,
            Some(why) => {
                state.refused.get_or_insert(why);
                Authorization::Deny
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why SQL may not do that, if it may not.
fn refusal(action: &AuthAction<'_>) -> Option<String> {
    use AuthAction as A;
    let ours = |names: &[&str]| {
        let name = names.iter().find(|name| is_ours(name))?;
        Some(format!(
            "`{name}`: names that begin with `{OURS}` are the object's own keys and alarm"
        ))
    };
    match *action {
        A::Transaction { .. } | A::Savepoint { .. } => Some(TRANSACTION.to_owned()),
        A::Attach { .. } | A::Detach { .. } => Some(ATTACH.to_owned()),
        A::Pragma {
            pragma_name: name,
            pragma_value: value,
        } => {
            let harmless =
                one_of(PRAGMAS, name) || value.is_none() && one_of(READ_ONLY_PRAGMAS, name);
            (!harmless).then(|| format!("PRAGMA {name}: it changes more than this event"))
        }
        A::CreateTempIndex { .. }
        | A::CreateTempTable { .. }
        | A::CreateTempTrigger { .. }
        | A::CreateTempView { .. } => Some(TEMPORARY.to_owned()),
        A::CreateVtable {
            table_name,
            module_name,
        } => ours(&[table_name]).or_else(|| {
            let known = one_of(MODULES, module_name);
            (!known).then(|| format!("virtual tables of `{module_name}`: there are {MODULES:?}"))
        }),
        A::Function { function_name: f } => {
            let refused = one_of(FUNCTIONS, f);
            refused.then(|| format!("{f}(): it reaches out of the database"))
        }
        A::CreateIndex {
            index_name,
            table_name,
        }
        | A::DropIndex {
            index_name,
            table_name,
        } => ours(&[index_name, table_name]),
        A::CreateTrigger {
            trigger_name,
            table_name,
        }
        | A::DropTrigger {
            trigger_name,
            table_name,
        } => ours(&[trigger_name, table_name]),
        A::CreateTable { table_name }
        | A::DropTable { table_name }
        | A::DropVtable { table_name, .. }
        | A::AlterTable { table_name, .. }
        | A::Read { table_name, .. }
        | A::Insert { table_name }
        | A::Update { table_name, .. }
        | A::Delete { table_name } => ours(&[table_name]),
        A::CreateView { view_name } | A::DropView { view_name } => ours(&[view_name]),
        A::Select
        | A::Recursive
        | A::Reindex { .. }
        | A::Analyze { .. }
        | A::DropTempIndex { .. }
        | A::DropTempTable { .. }
        | A::DropTempTrigger { .. }
        | A::DropTempView { .. } => None,
        _ => Some("what this version does not know".to_owned()),
    }
}

fn is_ours(name: &str) -> bool {
    let start = name.get(..OURS.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(OURS))
}

fn one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Of SQLite's virtual machine, between two looks at the clock.
const STEPS: i32 = 1000;

const TRANSACTION: &str = "transactions and savepoints: an event is the transaction, committed \
                           when it returns `Ok`";
const ATTACH: &str = "ATTACH, DETACH and VACUUM: an object has one database";
const TEMPORARY: &str = "temporary tables: they would not live as long as the object";

/// They tell something, or end with the transaction.
const PRAGMAS: &[&str] = &[
    "collation_list",
    "compile_options",
    "data_version",
    "defer_foreign_keys",
    "foreign_key_check",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];
/// They tell something when they set nothing.
const READ_ONLY_PRAGMAS: &[&str] = &[
    "encoding",
    "foreign_keys",
    "freelist_count",
    "page_count",
    "page_size",
];
const MODULES: &[&str] = &["fts5", "rtree"];
const FUNCTIONS: &[&str] = &["load_extension", "fts3_tokenizer"];

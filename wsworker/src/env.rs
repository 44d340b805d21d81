//! What a worker sees of its surroundings: variables.
//! Does not read anything by itself: the server fills it once, at start.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

/// A worker's surroundings: the variables of the process and those given with
/// [`Server::var`](crate::Server::var). Read once at start; a clone is cheap
/// and shows the same.
#[derive(Clone, Default)]
pub struct Env {
    vars: Arc<HashMap<String, String>>,
}

impl Env {
    /// The variable's value; an error that names it if there is none.
    pub fn var(&self, name: &str) -> Result<&str> {
        self.vars
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| Error::new(format!("no variable '{name}' in the environment")))
    }

    pub(crate) fn from_process(over: impl IntoIterator<Item = (String, String)>) -> Self {
        // A variable that is not UTF-8 cannot be read as text, so it is not there.
        let process = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self {
            vars: Arc::new(process.chain(over).collect()),
        }
    }
}

/// Names alone: values may be secrets.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.vars.keys()).finish()
    }
}

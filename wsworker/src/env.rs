//! What a worker sees of its surroundings: variables and secrets.
//! Does not read anything by itself but the file of a secret, when it is first
//! asked for: the server fills it once, at start.

mod secret;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak};

pub use self::secret::Secret;
use crate::error::{Error, Result};

/// A worker's surroundings: the variables of the process, and the variables and
/// secrets given with [`Server::var`](crate::Server::var) and
/// [`Server::secret`](crate::Server::secret). Read once at start; a clone is
/// cheap and shows the same.
#[derive(Clone, Default)]
pub struct Env(Arc<Inner>);

#[derive(Default)]
struct Inner {
    vars: HashMap<String, String>,
    /// Those given, and those that were read from files.
    secrets: Mutex<HashMap<String, Secret>>,
    /// What a layer above this one has put here.
    extension: OnceLock<Arc<dyn Any + Send + Sync>>,
}

/// An `Env` that does not keep it alive, for what it keeps alive.
#[cfg_attr(not(feature = "objects"), allow(dead_code))]
pub(crate) struct WeakEnv(Weak<Inner>);

#[cfg_attr(not(feature = "objects"), allow(dead_code))]
impl WeakEnv {
    pub(crate) fn upgrade(&self) -> Option<Env> {
        self.0.upgrade().map(Env)
    }
}

impl Env {
    /// The variable's value.
    ///
    /// # Errors
    /// There is none; it is named.
    pub fn var(&self, name: &str) -> Result<&str> {
        let value = self.0.vars.get(name).map(String::as_str);
        value.ok_or_else(|| Error::new(format!("no variable '{name}' in the environment")))
    }

    /// The secret of this name: what was given with
    /// [`Server::secret`](crate::Server::secret), else the content of the file
    /// that the variable `NAME_FILE` names, else the variable `NAME`.
    ///
    /// Such a file is what Docker, Kubernetes and systemd mount for a secret. It
    /// is read when it is first asked for, and then kept; a line's end after the
    /// secret is left out. A variable that is empty counts as not set.
    ///
    /// ```
    /// # fn f(env: &wsworker::Env) -> wsworker::Result<()> {
    /// let key = env.secret("API_KEY")?; // API_KEY_FILE=/run/secrets/api_key, or API_KEY=…
    /// let header = format!("Bearer {}", key.expose());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// There is none; both variables are set; or the file cannot be read, is
    /// not UTF-8, is empty or has more than 64 KiB.
    pub fn secret(&self, name: &str) -> Result<Secret> {
        if let Some(secret) = self.secrets().get(name) {
            return Ok(secret.clone());
        }
        let by_file = format!("{name}_FILE");
        // An empty one is as `docker compose` leaves what is not set, and no secret.
        let var = |name| self.var(name).ok().filter(|value| !value.is_empty());
        let secret = match (var(&by_file), var(name)) {
            (None, Some(value)) => Secret::new(value),
            (Some(path), None) => secret::read(path)
                .map_err(|why| Error::new(format!("secret '{name}': {by_file}='{path}' {why}")))?,
            (Some(_), Some(_)) => {
                return Err(Error::new(format!(
                    "secret '{name}': both {name} and {by_file} are set, and only one can count"
                )));
            }
            (None, None) => {
                return Err(Error::new(format!(
                    "no secret '{name}': neither {by_file} nor {name} is in the environment"
                )));
            }
        };
        self.secrets().insert(name.to_owned(), secret.clone());
        Ok(secret)
    }

    /// What surrounds a socket outside any server: the process's variables, as
    /// they were when first asked for.
    pub(crate) fn of_process() -> &'static Self {
        static ENV: LazyLock<Env> = LazyLock::new(|| Env::from_process([], []));
        &ENV
    }

    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    pub(crate) fn downgrade(&self) -> WeakEnv {
        WeakEnv(Arc::downgrade(&self.0))
    }

    /// Puts the extension in, once.
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    pub(crate) fn extend(&self, extension: Arc<dyn Any + Send + Sync>) {
        let twice = self.0.extension.set(extension).is_err();
        debug_assert!(!twice, "surroundings are extended once");
    }

    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    pub(crate) fn extension(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.0.extension.get()
    }

    pub(crate) fn from_process(
        over: impl IntoIterator<Item = (String, String)>,
        secrets: impl IntoIterator<Item = (String, Secret)>,
    ) -> Self {
        // A variable that is not UTF-8 cannot be read as text, so it is not there.
        let process = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self::new(process.chain(over), secrets)
    }

    fn new(
        vars: impl IntoIterator<Item = (String, String)>,
        secrets: impl IntoIterator<Item = (String, Secret)>,
    ) -> Self {
        Self(Arc::new(Inner {
            vars: vars.into_iter().collect(),
            secrets: Mutex::new(secrets.into_iter().collect()),
            extension: OnceLock::new(),
        }))
    }

    fn secrets(&self) -> std::sync::MutexGuard<'_, HashMap<String, Secret>> {
        self.0
            .secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names of variables alone: values may be secrets.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.vars.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Env {
        let vars = vars.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Env::new(vars, [("GIVEN".to_owned(), Secret::new("given"))])
    }

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn a_secret_comes_from_where_it_was_put() {
        let file = file(b"from a file\r\n");
        let path = file.path().to_str().unwrap();
        let env = env(&[("A", "from a variable"), ("B_FILE", path), ("GIVEN", "no")]);
        let secret = |name| env.secret(name).unwrap().expose().to_owned();
        assert_eq!(secret("GIVEN"), "given");
        assert_eq!(secret("A"), "from a variable");
        assert_eq!(secret("B"), "from a file");
        // Kept from then on.
        drop(file);
        assert_eq!(secret("B"), "from a file");
    }

    #[test]
    fn a_secret_that_is_not_there_is_named() {
        let error = |vars: &[(&str, &str)]| env(vars).secret("S").unwrap_err().to_string();
        assert_eq!(
            error(&[]),
            "no secret 'S': neither S_FILE nor S is in the environment"
        );
        let both = error(&[("S", "hidden"), ("S_FILE", "/x")]);
        assert!(both.contains("both S and S_FILE are set"), "{both}");
        assert!(!both.contains("hidden"));
        assert_eq!(error(&[("S", ""), ("S_FILE", "")]), error(&[]));
        let gone = error(&[("S_FILE", "/nowhere/s")]);
        let start = "secret 'S': S_FILE='/nowhere/s' cannot be read: ";
        assert!(gone.starts_with(start), "{gone}");
    }

    #[test]
    fn a_file_that_holds_no_secret_is_an_error() {
        let large = vec![b'x'; (64 << 10) + 1];
        for (content, wanted) in [
            (&b"\n"[..], "is empty"),
            (b"\xff", "is not UTF-8"),
            (&large, "has more than 65536 bytes"),
        ] {
            let file = file(content);
            let env = env(&[("S_FILE", file.path().to_str().unwrap())]);
            let error = env.secret("S").unwrap_err().to_string();
            assert!(error.ends_with(wanted), "{error}");
        }
    }

    #[test]
    fn values_are_not_shown() {
        let env = env(&[("A", "hidden")]);
        assert_eq!(format!("{env:?}"), "{\"A\"}");
        assert_eq!(format!("{:?}", env.secret("A").unwrap()), "Secret(…)");
    }
}

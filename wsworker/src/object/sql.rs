//! SQL as an object's code sees it: `ctx.storage().sql()`, and what goes in.
//! Does not run it; `store` does. What comes out is a `cursor`.

use std::fmt;

use super::ObjectStorage;
use super::cursor::Cursor;
use crate::error::Result;
use crate::storage::SqlValue;

/// SQL in a database of the object's own: SQLite, with JSON, FTS5 and R*Tree. From
/// [`ObjectStorage::sql`].
///
/// **An event is the transaction.** Tables, keys and alarm are committed together when
/// it returns `Ok`, and undone together when it fails. So `BEGIN` and the like, and
/// what reaches out of the database (`ATTACH`, `VACUUM`, most `PRAGMA`s, temporary
/// tables), are errors that say so. The object's keys, in tables whose names begin with
/// `_ws_`, are out of SQL's reach.
///
/// ```no_run
/// use wsworker::prelude::*;
///
/// #[durable_object(sql)]
/// struct Board {
///     ctx: ObjectContext,
/// }
///
/// impl DurableObject for Board {
///     async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
///         let create = "CREATE TABLE IF NOT EXISTS scores (name TEXT PRIMARY KEY, points INT)";
///         ctx.storage().sql()?.exec(create, ()).await?;
///         Ok(Board { ctx })
///     }
/// }
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Score {
///     name: String,
///     points: i64,
/// }
///
/// #[durable_object]
/// impl Board {
///     #[call]
///     async fn add(&mut self, name: String, points: i64) -> Result<i64> {
///         let sql = self.ctx.storage().sql()?;
///         let add = "INSERT INTO scores VALUES (?1, ?2)
///             ON CONFLICT DO UPDATE SET points = points + ?2 RETURNING points";
///         sql.exec(add, (name, points)).await?.one()
///     }
///
///     #[call]
///     async fn best(&mut self) -> Result<Vec<Score>> {
///         let best = "SELECT name, points FROM scores ORDER BY points DESC LIMIT ?1";
///         self.ctx.storage().sql()?.exec(best, [10]).await?.rows()
///     }
/// }
/// ```
///
/// Limits: a statement of 1 MiB, a value or row of 16 MiB, 32,766 parameters. Foreign
/// keys are enforced, and `"name"` is never a text.
#[derive(Clone, Copy)]
pub struct Sql<'a> {
    storage: &'a ObjectStorage,
    max_result: usize,
}

impl<'a> Sql<'a> {
    pub(super) fn of(storage: &'a ObjectStorage) -> Self {
        let max_result = MAX_RESULT;
        Self {
            storage,
            max_result,
        }
    }

    /// How many bytes of rows one `exec` may give: they are all in memory. Default:
    /// 16 MiB.
    pub fn max_result(mut self, bytes: usize) -> Self {
        self.max_result = bytes;
        self
    }

    /// Runs SQL and gives its rows. Of several statements, with `;` between them, the
    /// parameters are the last one's, and so are the rows.
    ///
    /// It is all done or nothing: if it fails, what the event wrote before stays, and
    /// the event may go on. It sees what the event has written.
    ///
    /// Cancel safety: if the future is dropped the SQL is run as a whole, still in this
    /// event and before what comes later, or not at all.
    ///
    /// # Errors
    /// [`is_constraint`](crate::Error::is_constraint): it breaks one of its tables.
    /// [`is_invalid`](crate::Error::is_invalid): it is wrong, or may not be done, or
    /// gives more than [`max_result`](Self::max_result).
    /// [`is_timeout`](crate::Error::is_timeout): it ran until the event's deadline.
    /// [`is_storage`](crate::Error::is_storage): the database failed. If SQLite has
    /// undone the whole transaction, as on a full disk, the event fails, whatever it
    /// returns. Outside any event of the object it is an error, too.
    pub async fn exec(&self, sql: &str, params: impl SqlParams) -> Result<Cursor> {
        let params = params.into_values();
        let rows = self.storage.query(sql, params, self.max_result).await?;
        Ok(Cursor::of(rows))
    }

    /// The size of the object's database in bytes, keys included.
    ///
    /// # Errors
    /// The storage fails.
    pub async fn database_size(&self) -> Result<u64> {
        self.storage.database_size().await
    }
}

impl fmt::Debug for Sql<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sql of {:?}", self.storage)
    }
}

/// Parameters of SQL, `?1` first: `()` for none, a tuple of up to 16, or an array, slice
/// or `Vec` of one type. Each is what converts into a [`SqlValue`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of SQL parameters",
    label = "this must be `()`, a tuple, an array, a slice or a `Vec`",
    note = "one parameter is a tuple of one: `(value,)`; more than 16 are an array of `SqlValue`s"
)]
pub trait SqlParams: Send {
    /// The values in their order.
    fn into_values(self) -> Vec<SqlValue>;
}

impl SqlParams for () {
    fn into_values(self) -> Vec<SqlValue> {
        Vec::new()
    }
}

impl<T: Into<SqlValue> + Send> SqlParams for Vec<T> {
    fn into_values(self) -> Vec<SqlValue> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Into<SqlValue> + Send, const N: usize> SqlParams for [T; N] {
    fn into_values(self) -> Vec<SqlValue> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Clone + Into<SqlValue> + Sync> SqlParams for &[T] {
    fn into_values(self) -> Vec<SqlValue> {
        self.iter().cloned().map(Into::into).collect()
    }
}

macro_rules! tuples {
    ($first:ident $($rest:ident)*) => {
        impl<$first: Into<SqlValue> + Send, $($rest: Into<SqlValue> + Send),*> SqlParams
            for ($first, $($rest,)*)
        {
            #[allow(non_snake_case)]
            fn into_values(self) -> Vec<SqlValue> {
                let ($first, $($rest,)*) = self;
                vec![$first.into(), $($rest.into()),*]
            }
        }
        tuples!($($rest)*);
    };
    () => {};
}

tuples!(A B C D E F G H I J K L M N O P);

/// Bytes of rows.
const MAX_RESULT: usize = 16 << 20;

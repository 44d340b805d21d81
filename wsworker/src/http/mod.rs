//! What a worker's `fetch` gets and gives: requests, responses, their bodies, the upgrade.
//! Does no I/O; the rules of the handshake are `protocol`'s.

mod body;
mod builder;
mod convert;
mod cookies;
mod query;
mod request;
mod response;
mod router;
mod upgrade;
mod url;

pub use body::{Body, ReadBody};
pub use builder::RequestBuilder;
#[cfg(feature = "client")]
pub(crate) use builder::connection_names;
pub(crate) use request::Head;
pub use request::Request;
pub use response::Response;
pub use router::{Params, Router};
pub(crate) use upgrade::Accepted;
pub use upgrade::Upgrade;
#[cfg(feature = "client")]
pub(crate) use url::encode as encode_url;

//! What a worker's `fetch` gets and gives: requests, responses, their bodies, the upgrade.
//! Does no I/O; the rules of the handshake are `protocol`'s.

mod body;
mod builder;
mod convert;
mod request;
mod response;
mod upgrade;

pub use body::{Body, ReadBody};
pub use builder::RequestBuilder;
pub(crate) use request::Head;
pub use request::Request;
pub use response::Response;
pub(crate) use upgrade::Accepted;
pub use upgrade::Upgrade;

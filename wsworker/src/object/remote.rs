//! Calls by value: arguments and a result as bytes, so that a call may as well come
//! from another process.
//! Does not run the call; `stub` does.

use std::fmt;
use std::io::Cursor;

use rmp_serde::decode::ReadReader;
use rmp_serde::{Deserializer, Serializer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::class::DurableObject;
use super::jobs::Called;
use super::stub::Stub;
use crate::error::{Error, Result};

/// What may be an argument or a result of a call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument or a result of a call",
    label = "this must implement `serde::Serialize` and `serde::Deserialize`",
    note = "a call may go to another process: add `#[derive(serde::Serialize, serde::Deserialize)]` to every type of yours in it"
)]
pub trait ByValue: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> ByValue for T {}

/// A method as it is called from outside.
type Method<T> = for<'a> fn(&'a mut T, Received) -> Called<'a, Reply>;

/// A result, encoded.
type Reply = Vec<u8>;

/// What the methods of a typed stub call.
///
/// # Errors
/// The method's own, and those of [`Stub::call`], named after the method.
pub async fn call<T: DurableObject>(
    stub: &Stub<T>,
    arguments: Arguments,
    method: Method<T>,
) -> Result<Reply> {
    let name = arguments.call;
    let received = arguments.received()?;
    let called = stub.call(move |object| method(object, received)).await;
    called.map_err(|error| error.of_method(T::NAME, name))
}

/// The arguments of a call on their way: a MessagePack array.
#[derive(Debug)]
pub struct Arguments {
    call: &'static str,
    encoded: Vec<u8>,
}

impl Arguments {
    /// For so many arguments of the call of this name.
    pub fn new(call: &'static str, count: u32) -> Self {
        let mut encoded = Vec::new();
        rmp::encode::write_array_len(&mut encoded, count).expect("a Vec takes every byte");
        Self { call, encoded }
    }

    /// With the next one.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn with<A: ByValue>(mut self, argument: A) -> Result<Self> {
        let encoded = encode(&argument, &mut self.encoded);
        encoded.map_err(|e| wrong(self.call, &e))?;
        Ok(self)
    }

    fn received(self) -> Result<Received> {
        let Self { call, encoded } = self;
        let mut encoded = Cursor::new(encoded);
        let left = rmp::decode::read_array_len(&mut encoded).map_err(|e| wrong(call, &e))?;
        let encoded = (left > 0).then(|| Deserializer::new(encoded));
        Ok(Received {
            call,
            encoded,
            left,
        })
    }
}

/// The arguments of a call where they have come.
#[derive(Debug)]
pub struct Received {
    call: &'static str,
    /// `None` if there were none from the start: it has a buffer of its own.
    encoded: Option<Deserializer<ReadReader<Cursor<Vec<u8>>>>>,
    left: u32,
}

impl Received {
    /// The next one.
    ///
    /// # Errors
    /// It is of another type, or there is none.
    pub fn take<A: ByValue>(&mut self) -> Result<A> {
        let (Some(left), Some(encoded)) = (self.left.checked_sub(1), &mut self.encoded) else {
            return Err(wrong(self.call, &"an argument is missing"));
        };
        self.left = left;
        A::deserialize(encoded).map_err(|e| wrong(self.call, &e))
    }

    /// That was all.
    ///
    /// # Errors
    /// There are more.
    pub fn end(self) -> Result<()> {
        match self.left {
            0 => Ok(()),
            left => Err(wrong(self.call, &format_args!("{left} arguments too many"))),
        }
    }
}

/// A method under way. A function, so that a future that is not `Send` is reported as
/// such.
pub fn answer<'a>(answer: impl Future<Output = Result<Reply>> + Send + 'a) -> Called<'a, Reply> {
    Box::pin(answer)
}

/// What a method gave, encoded. Its errors go as they are.
///
/// # Errors
/// The method's; or what it gave cannot be encoded.
pub fn reply<V: ByValue, E: Into<Error>>(call: &str, result: Result<V, E>) -> Result<Reply> {
    let value = result.map_err(Into::into)?;
    let mut encoded = Vec::new();
    encode(&value, &mut encoded).map_err(|e| wrong(call, &e))?;
    Ok(encoded)
}

/// What a method gave, decoded.
///
/// # Errors
/// It is of another type.
pub fn value<V: ByValue>(call: &str, reply: &Reply) -> Result<V> {
    rmp_serde::from_slice(reply).map_err(|e| wrong(call, &e))
}

/// As values are stored: structs as maps with their fields' names.
fn encode<V: Serialize>(value: &V, to: &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error> {
    value.serialize(&mut Serializer::new(to).with_struct_map())
}

fn wrong(call: &str, what: &dyn fmt::Display) -> Error {
    Error::invalid(format!("the call '{call}': {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Arguments {
        let arguments = Arguments::new("say", 2);
        arguments.with(7_u8).unwrap().with("x".to_owned()).unwrap()
    }

    #[test]
    fn arguments_are_what_serde_writes_of_a_tuple() {
        let tuple = rmp_serde::to_vec_named(&(7_u8, "x")).unwrap();
        assert_eq!(two().encoded, tuple);
        let none = Arguments::new("count", 0);
        assert_eq!(none.encoded, rmp_serde::to_vec_named(&[(); 0]).unwrap());
    }

    #[test]
    fn arguments_come_in_their_order() {
        let mut received = two().received().unwrap();
        assert_eq!(received.take::<u8>().unwrap(), 7);
        assert_eq!(received.take::<String>().unwrap(), "x");
        received.end().unwrap();
    }

    #[test]
    fn too_few_too_many_and_others_are_refused() {
        let mut received = two().received().unwrap();
        received.take::<u8>().unwrap();
        let error = received.take::<u8>().unwrap_err();
        assert!(error.is_invalid(), "{error}");
        let error = received.take::<u8>().unwrap_err();
        assert_eq!(error.to_string(), "the call 'say': an argument is missing");

        let error = two().received().unwrap().end().unwrap_err();
        assert_eq!(error.to_string(), "the call 'say': 2 arguments too many");
    }
}

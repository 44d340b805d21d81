//! A row of SQL as serde reads it: by names, by position, or its only value.

use serde::de::value::{Error, SeqDeserializer, StrDeserializer, StringDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;

use crate::storage::SqlValue;

/// A row, or what is left of it.
pub(super) struct Row<'a> {
    columns: &'a [String],
    values: &'a [SqlValue],
    at: usize,
}

/// One value.
struct Value<'a>(&'a SqlValue);

impl<'a> Row<'a> {
    pub(super) fn of(columns: &'a [String], values: &'a [SqlValue]) -> Self {
        Self {
            columns,
            values,
            at: 0,
        }
    }

    fn only(&self) -> Result<Value<'a>, Error> {
        match self.values {
            [value] => Ok(Value(value)),
            _ => {
                let seen = self.values.len();
                let message = format!("one column was wanted, got {seen}");
                Err(Error::custom(message))
            }
        }
    }

    fn next(&mut self) -> Option<(&'a str, Value<'a>)> {
        let (name, value) = (self.columns.get(self.at)?, self.values.get(self.at)?);
        self.at += 1;
        Some((name, Value(value)))
    }
}

/// Everything that is one value.
macro_rules! from_the_only {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.only()?.$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Row<'de> {
    type Error = Error;

    /// For a type that takes what comes.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        wanted: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.values.len() {
            seen if seen == wanted => visitor.visit_seq(self),
            seen => {
                let message = format!("{wanted} columns were wanted, got {seen}");
                Err(Error::custom(message))
            }
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        wanted: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(wanted, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    from_the_only! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_identifier
    }

    forward_to_deserialize_any! { unit_struct map struct ignored_any }
}

impl<'de> MapAccess<'de> for Row<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        key: K,
    ) -> Result<Option<K::Value>, Error> {
        let name = self.columns.get(self.at).map(String::as_str);
        let read = name.map(|name| key.deserialize(StrDeserializer::new(name)));
        read.transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        read(self, seed)?.ok_or_else(|| Error::custom("a column has no value"))
    }
}

impl<'de> SeqAccess<'de> for Row<'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        read(self, seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len() - self.at)
    }
}

/// The next value, with its column in an error.
fn read<'de, S: DeserializeSeed<'de>>(
    row: &mut Row<'de>,
    seed: S,
) -> Result<Option<S::Value>, Error> {
    let Some((name, value)) = row.next() else {
        return Ok(None);
    };
    let read = seed.deserialize(value);
    let named = read.map_err(|error| Error::custom(format!("column '{name}': {error}")));
    named.map(Some)
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            SqlValue::Null => visitor.visit_unit(),
            SqlValue::Integer(integer) => visitor.visit_i64(*integer),
            SqlValue::Real(real) => visitor.visit_f64(*real),
            SqlValue::Text(text) => visitor.visit_borrowed_str(text),
            SqlValue::Blob(bytes) => visitor.visit_borrowed_bytes(bytes),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            SqlValue::Integer(0) => visitor.visit_bool(false),
            SqlValue::Integer(1) => visitor.visit_bool(true),
            SqlValue::Integer(other) => {
                Err(Error::invalid_value(Unexpected::Signed(*other), &"0 or 1"))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            SqlValue::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// A `Vec<u8>` reads a sequence.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            SqlValue::Blob(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            SqlValue::Text(text) => {
                let text: StringDeserializer<Error> = text.clone().into_deserializer();
                text.deserialize_enum(name, variants, visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple_struct map struct identifier ignored_any
    }
}

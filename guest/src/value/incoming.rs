//! Reading JSON text: a value that serde gives, pushed to the stack as it comes.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::MAX_RESERVED;
use super::book::Shape;
use super::object::Object;
use super::run::Run;
use super::sink::Digits;
use crate::number::{NOT_FINITE, too_large};
use crate::path::Step;

/// Reads one value and pushes it.
pub(super) struct Incoming<'a> {
    pub(super) run: &'a Run,
}

impl<'de> DeserializeSeed<'de> for Incoming<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Incoming<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.run.stack.push_nil();
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.run.stack.push_boolean(value);
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.run.stack.push_integer(value);
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        let value = i64::try_from(value).map_err(|_| self.run.broken(too_large(value)))?;
        self.visit_i64(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        /// From here on a float may stand for an integer that is too large for one.
        const DOUBTFUL: f64 = 9_223_372_036_854_775_807.0;

        if !value.is_finite() {
            return Err(self.run.broken(NOT_FINITE));
        }
        if value.abs() >= DOUBTFUL {
            self.run.doubtful.set(true);
        }
        self.run.stack.push_number(value);
        Ok(())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.run.stack.push_text(value.as_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Run { stack, .. } = *self.run;
        self.run.enter().map_err(|cause| self.run.fail(cause))?;
        let capacity = items.size_hint().unwrap_or(0).min(MAX_RESERVED);
        stack.push_table(capacity, 0);
        let table = stack.top();
        let (mut len, mut last) = (0_u64, 0_u64);
        while items
            .next_element_seed(Incoming { run: self.run })
            .inspect_err(|_| self.run.within(|| Step::Index(len + 1)))?
            .is_some()
        {
            len += 1;
            if stack.last_is_nil() {
                stack.pop();
            } else {
                last = len;
                stack.raw_set_index(table, len);
            }
        }
        self.run.remember(Shape::of(len, last));
        self.run.leave();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Run { stack, .. } = *self.run;
        self.run.enter().map_err(|cause| self.run.fail(cause))?;
        let mut object = Object::new(self.run, entries.size_hint().unwrap_or(0));
        while entries.next_key_seed(Key { run: self.run })?.is_some() {
            let key = stack.top();
            entries
                .next_value_seed(Incoming { run: self.run })
                .inspect_err(|_| self.run.within(|| self.run.step(key)))?;
            object.set(self.run);
        }
        object.end(self.run);
        self.run.leave();
        Ok(())
    }
}

/// Reads an object's key and pushes it, as text.
struct Key<'a> {
    run: &'a Run,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key: text or an integer")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<(), E> {
        self.run.stack.push_text(key.as_bytes());
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, key: i64) -> Result<(), E> {
        let mut digits = Digits::default();
        self.visit_str(digits.of(key.into()))
    }

    fn visit_u64<E: de::Error>(self, key: u64) -> Result<(), E> {
        let mut digits = Digits::default();
        self.visit_str(digits.of(key.into()))
    }
}

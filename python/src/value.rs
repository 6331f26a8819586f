//! Values between Python and the wire: straight, with no JSON in between.
//!
//! Both ways attach to the interpreter by themselves, since a run converts its values while the
//! caller is detached: the interpreter is free for other threads from when the state is converted
//! until the result is.

use std::cell::RefCell;
use std::fmt;

use moonfork::Limits;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple,
};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{self, Serialize, SerializeMap, SerializeSeq, Serializer};

/// Steps of a path that messages show.
const SHOWN: usize = 12;

/// Bytes up to which a text is copied rather than converted by itself: less work than waiting for the
/// interpreter.
const SHORT: usize = 256;

/// Characters up to which the key of a dict is interned: records have the same few keys again and
/// again.
const INTERNED: usize = 32;

thread_local! {
    /// Why the last conversion of this thread failed, until somebody asks.
    static FAULT: RefCell<Option<Fault>> = const { RefCell::new(None) };
}

/// Why a Python object can't pass, and where in the value it is.
struct Fault {
    kind: Kind,
    message: String,
    /// From the inside out.
    path: Vec<Step>,
}

#[derive(Clone, Copy)]
enum Kind {
    Type,
    Value,
    Overflow,
}

enum Step {
    Key(String),
    Index(usize),
}

/// What this thread's last conversion failed with, if it did, as an exception that names the path
/// below `root`.
pub(crate) fn take_fault(root: &str) -> Option<PyErr> {
    let fault = FAULT.take()?;
    let mut text = root.to_owned();
    for step in fault.path.iter().rev().take(SHOWN) {
        match step {
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    if fault.path.len() > SHOWN {
        text.push_str("...");
    }
    let text = format!("{text}: {}", fault.message);
    Some(match fault.kind {
        Kind::Type => PyTypeError::new_err(text),
        Kind::Value => PyValueError::new_err(text),
        Kind::Overflow => PyOverflowError::new_err(text),
    })
}

fn fault<E: ser::Error>(kind: Kind, message: String) -> E {
    let error = E::custom(&message);
    FAULT.set(Some(Fault {
        kind,
        message,
        path: Vec::new(),
    }));
    error
}

fn inside<E>(step: impl FnOnce() -> Step) -> impl FnOnce(E) -> E {
    |error| {
        FAULT.with_borrow_mut(|fault| {
            if let Some(fault) = fault {
                fault.path.push(step());
            }
        });
        error
    }
}

/// A Python object on its way to Lua. What is small is taken from it while the interpreter is at hand, so
/// that nobody has to wait for the interpreter when it is converted.
pub(crate) enum ToLua {
    Nothing,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(Box<str>),
    Object(Py<PyAny>),
}

impl ToLua {
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> ToLua {
        if object.is_none() {
            return ToLua::Nothing;
        }
        if let Ok(boolean) = object.cast::<PyBool>() {
            return ToLua::Boolean(boolean.is_true());
        }
        if object.cast::<PyInt>().is_ok() {
            if let Ok(integer) = object.extract() {
                return ToLua::Integer(integer);
            }
        } else if let Ok(float) = object.cast::<PyFloat>() {
            return ToLua::Float(float.value());
        } else if let Ok(string) = object.cast::<PyString>()
            && let Ok(text) = string.to_str()
            && text.len() <= SHORT
        {
            return ToLua::Text(text.into());
        }
        // Also what can't pass: it is said when it is converted, with its path.
        ToLua::Object(object.clone().unbind())
    }
}

impl Serialize for ToLua {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ToLua::Nothing => serializer.serialize_unit(),
            ToLua::Boolean(boolean) => serializer.serialize_bool(*boolean),
            ToLua::Integer(integer) => serializer.serialize_i64(*integer),
            ToLua::Float(float) => serializer.serialize_f64(*float),
            ToLua::Text(text) => serializer.serialize_str(text),
            ToLua::Object(object) => Python::attach(|py| {
                let node = Node {
                    object: object.bind(py),
                    depth: 0,
                };
                node.serialize(serializer)
            }),
        }
    }
}

struct Node<'a, 'py> {
    object: &'a Bound<'py, PyAny>,
    depth: usize,
}

impl Node<'_, '_> {
    fn sequence<'py, S: Serializer>(
        &self,
        serializer: S,
        len: usize,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
    ) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(len))?;
        for (index, item) in items.enumerate() {
            let node = Node {
                object: &item,
                depth: self.depth + 1,
            };
            sequence
                .serialize_element(&node)
                .map_err(inside(|| Step::Index(index)))?;
        }
        sequence.end()
    }

    fn mapping<S: Serializer>(
        &self,
        serializer: S,
        dict: &Bound<'_, PyDict>,
    ) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(dict.len()))?;
        for (key, value) in dict {
            let Ok(key) = key.cast::<PyString>() else {
                return Err(fault(
                    Kind::Type,
                    format!(
                        "a key is of type {}; the keys of a dict must be str",
                        type_name(&key)
                    ),
                ));
            };
            let key = text(key)?;
            let node = Node {
                object: &value,
                depth: self.depth + 1,
            };
            map.serialize_entry(key, &node)
                .map_err(inside(|| Step::Key(key.to_owned())))?;
        }
        map.end()
    }
}

impl Serialize for Node<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object = self.object;
        if self.depth > Limits::MAX_DEPTH as usize {
            return Err(fault(
                Kind::Value,
                format!(
                    "it is nested more than {} levels deep, or contains itself",
                    Limits::MAX_DEPTH
                ),
            ));
        }
        if let Ok(string) = object.cast::<PyString>() {
            return serializer.serialize_str(text(string)?);
        }
        if object.is_none() {
            return serializer.serialize_unit();
        }
        if let Ok(boolean) = object.cast::<PyBool>() {
            return serializer.serialize_bool(boolean.is_true());
        }
        if object.cast::<PyInt>().is_ok() {
            return match object.extract::<i64>() {
                Ok(integer) => serializer.serialize_i64(integer),
                Err(_) => Err(fault(
                    Kind::Overflow,
                    "the integer doesn't fit into 64 bits, which is all that Lua has; pass it as a \
                     str"
                    .to_owned(),
                )),
            };
        }
        if let Ok(float) = object.cast::<PyFloat>() {
            return serializer.serialize_f64(float.value());
        }
        if let Ok(dict) = object.cast::<PyDict>() {
            return self.mapping(serializer, dict);
        }
        if let Ok(list) = object.cast::<PyList>() {
            return self.sequence(serializer, list.len(), list.iter());
        }
        if let Ok(tuple) = object.cast::<PyTuple>() {
            return self.sequence(serializer, tuple.len(), tuple.iter());
        }
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return serializer.serialize_bytes(bytes.as_bytes());
        }
        if let Ok(bytes) = object.cast::<PyByteArray>() {
            return serializer.serialize_bytes(&bytes.to_vec());
        }
        // What numpy and pandas have: arrays, series, and single values of their types.
        let hint = match object.hasattr("tolist") {
            Ok(true) => "; its method tolist() gives one of these",
            _ => "",
        };
        Err(fault(
            Kind::Type,
            format!(
                "a value of type {} can't pass to Lua; None, bool, int, float, str, bytes, list, \
                 tuple and dict can{hint}",
                type_name(object)
            ),
        ))
    }
}

fn text<'a, E: ser::Error>(string: &'a Bound<'_, PyString>) -> Result<&'a str, E> {
    string.to_str().map_err(|_| {
        fault(
            Kind::Value,
            "the str has a lone surrogate, which UTF-8 can't say".to_owned(),
        )
    })
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    object
        .get_type()
        .fully_qualified_name()
        .map_or_else(|_| "nameless type".to_owned(), |name| name.to_string())
}

/// Python objects on their way to Lua as the arguments of a call.
pub(crate) struct Arguments<'a>(pub(crate) &'a [ToLua]);

impl Arguments<'_> {
    fn serialize_all<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.0.len()))?;
        for (index, argument) in self.0.iter().enumerate() {
            sequence
                .serialize_element(argument)
                .map_err(inside(|| Step::Index(index)))?;
        }
        sequence.end()
    }
}

impl Serialize for Arguments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let objects = self.0.iter().filter(|it| matches!(it, ToLua::Object(_)));
        if objects.count() > 1 {
            // Waited for once.
            Python::attach(|_| self.serialize_all(serializer))
        } else {
            self.serialize_all(serializer)
        }
    }
}

/// A value from Lua. What is small becomes a Python object only when somebody has the interpreter.
pub(crate) enum FromLua {
    Nothing,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(Box<str>),
    Object(Py<PyAny>),
}

impl FromLua {
    pub(crate) fn into_object(self, py: Python<'_>) -> Py<PyAny> {
        match self {
            FromLua::Nothing => py.None(),
            FromLua::Boolean(boolean) => PyBool::new(py, boolean).to_owned().into_any().unbind(),
            FromLua::Integer(integer) => PyInt::new(py, integer).into_any().unbind(),
            FromLua::Float(float) => PyFloat::new(py, float).into_any().unbind(),
            FromLua::Text(text) => PyString::new(py, &text).into_any().unbind(),
            FromLua::Object(object) => object,
        }
    }
}

impl<'de> Deserialize<'de> for FromLua {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FromLua, D::Error> {
        deserializer.deserialize_any(Outermost { plain: false })
    }
}

/// The arguments that a script calls a host function with, all of them.
pub(crate) struct AllArguments(pub(crate) Vec<FromLua>);

impl<'de> Deserialize<'de> for AllArguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AllArguments, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = AllArguments;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of arguments")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut sequence: A,
            ) -> Result<AllArguments, A::Error> {
                let mut all = Vec::new();
                while let Some(argument) = sequence.next_element()? {
                    all.push(argument);
                }
                Ok(AllArguments(all))
            }
        }

        // As whatever there is: who asks for a list gets the one argument that is a list.
        deserializer.deserialize_any(List)
    }
}

/// A value from Lua by the rules of The Edge Agent: a float with an integer's value is an `int`, and
/// what is null in a mapping isn't there.
pub(crate) struct PlainFromLua(pub(crate) FromLua);

impl<'de> Deserialize<'de> for PlainFromLua {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PlainFromLua, D::Error> {
        let value = deserializer.deserialize_any(Outermost { plain: true })?;
        Ok(PlainFromLua(value))
    }
}

/// Makes a whole value; what is inside of it is for [`Maker`].
struct Outermost {
    plain: bool,
}

impl Outermost {
    fn object<E>(
        self,
        make: impl for<'py> FnOnce(Maker<'py>) -> Result<Bound<'py, PyAny>, E>,
    ) -> Result<FromLua, E> {
        let plain = self.plain;
        Python::attach(|py| Ok(FromLua::Object(make(Maker { py, plain })?.unbind())))
    }
}

impl<'de> Visitor<'de> for Outermost {
    type Value = FromLua;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of Lua's")
    }

    fn visit_unit<E: de::Error>(self) -> Result<FromLua, E> {
        Ok(FromLua::Nothing)
    }

    fn visit_none<E: de::Error>(self) -> Result<FromLua, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<FromLua, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<FromLua, E> {
        Ok(FromLua::Boolean(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<FromLua, E> {
        Ok(FromLua::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<FromLua, E> {
        match i64::try_from(value) {
            Ok(value) => Ok(FromLua::Integer(value)),
            Err(_) => self.object(|maker| maker.visit_u64(value)),
        }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<FromLua, E> {
        if self.plain && value.fract() == 0.0 {
            return self.object(|maker| maker.visit_f64(value));
        }
        Ok(FromLua::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<FromLua, E> {
        if value.len() <= SHORT {
            return Ok(FromLua::Text(value.into()));
        }
        self.object(|maker| maker.visit_str(value))
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<FromLua, E> {
        self.object(|maker| maker.visit_bytes(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<FromLua, A::Error> {
        self.object(|maker| maker.visit_seq(sequence))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FromLua, A::Error> {
        self.object(|maker| maker.visit_map(map))
    }
}

#[derive(Clone, Copy)]
struct Maker<'py> {
    py: Python<'py>,
    plain: bool,
}

impl<'py> Maker<'py> {
    fn made<T, E: de::Error>(
        self,
        made: Result<Bound<'py, T>, impl fmt::Display>,
    ) -> Result<Bound<'py, PyAny>, E> {
        made.map(Bound::into_any).map_err(E::custom)
    }
}

impl<'de, 'py> DeserializeSeed<'de> for Maker<'py> {
    type Value = Bound<'py, PyAny>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'py> Visitor<'de> for Maker<'py> {
    type Value = Bound<'py, PyAny>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of Lua's")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(self.py.None().into_bound(self.py))
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(PyBool::new(self.py, value).to_owned().into_any())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        self.made(value.into_pyobject(self.py))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        self.made(value.into_pyobject(self.py))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        let float = PyFloat::new(self.py, value);
        if self.plain && value.fract() == 0.0 {
            // Of any size: Python's integers have none.
            return self.made(float.call_method0("__int__"));
        }
        Ok(float.into_any())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(PyString::new(self.py, value).into_any())
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<Self::Value, E> {
        Ok(PyBytes::new(self.py, value).into_any())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self)? {
            items.push(item);
        }
        self.made(PyList::new(self.py, items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let dict = PyDict::new(self.py);
        while let Some(key) = map.next_key_seed(Key { py: self.py })? {
            let value = map.next_value_seed(self)?;
            if self.plain && value.is_none() {
                continue;
            }
            dict.set_item(key, value).map_err(de::Error::custom)?;
        }
        Ok(dict.into_any())
    }
}

/// Makes the keys of a dict.
struct Key<'py> {
    py: Python<'py>,
}

impl<'de, 'py> DeserializeSeed<'de> for Key<'py> {
    type Value = Bound<'py, PyString>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, 'py> Visitor<'de> for Key<'py> {
    type Value = Bound<'py, PyString>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(if key.len() <= INTERNED {
            PyString::intern(self.py, key)
        } else {
            PyString::new(self.py, key)
        })
    }
}

/// A plain value, such as a report, as Python objects.
pub(crate) fn to_python(py: Python<'_>, value: &impl Serialize) -> PyResult<Py<PyAny>> {
    serde_json::to_value(value)
        .and_then(|value| value.deserialize_any(Maker { py, plain: false }))
        .map(Bound::unbind)
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

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
    for step in fault.path.iter().rev() {
        match step {
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
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

/// A Python object on its way to Lua.
pub(crate) struct ToLua<'a>(pub(crate) &'a Py<PyAny>);

impl Serialize for ToLua<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Python::attach(|py| {
            let node = Node {
                object: self.0.bind(py),
                depth: 0,
            };
            node.serialize(serializer)
        })
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
        Err(fault(
            Kind::Type,
            format!(
                "a {} can't pass to Lua; None, bool, int, float, str, bytes, list, tuple and dict \
                 can",
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
        .name()
        .map_or_else(|_| "nameless type".to_owned(), |name| name.to_string())
}

/// Python objects on their way to Lua as the arguments of a call.
pub(crate) struct Arguments<'a>(pub(crate) &'a [Py<PyAny>]);

impl Serialize for Arguments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.0.len()))?;
        for (index, argument) in self.0.iter().enumerate() {
            sequence
                .serialize_element(&ToLua(argument))
                .map_err(inside(|| Step::Index(index)))?;
        }
        sequence.end()
    }
}

/// A value from Lua, as a Python object.
pub(crate) struct FromLua(pub(crate) Py<PyAny>);

impl<'de> Deserialize<'de> for FromLua {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FromLua, D::Error> {
        Python::attach(|py| {
            let maker = Maker { py, plain: false };
            Ok(FromLua(deserializer.deserialize_any(maker)?.unbind()))
        })
    }
}

/// A value from Lua by the rules of The Edge Agent: a float with an integer's value is an `int`, and
/// what is null in a mapping isn't there.
pub(crate) struct PlainFromLua(pub(crate) Py<PyAny>);

impl<'de> Deserialize<'de> for PlainFromLua {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PlainFromLua, D::Error> {
        Python::attach(|py| {
            let maker = Maker { py, plain: true };
            Ok(PlainFromLua(deserializer.deserialize_any(maker)?.unbind()))
        })
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

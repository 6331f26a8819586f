//! What the guest of an instance has been told of grants.
//!
//! A fresh one is told what it is granted, once. A copy of an instance holds what that was told: its
//! globals as scripts have left them. So it is told only what it is granted besides. What it isn't
//! granted is denied at the moment of use, as everywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::grants::function::Functions;
use crate::grants::granted::Granted;
use crate::{Error, Result};

/// What was told to an instance, or to one that it is a copy of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Host functions, by the number that the guest calls them by.
    functions: BTreeMap<u32, String>,
    clock: bool,
    modules: bool,
    files: bool,
    variables: Option<BTreeMap<String, Value>>,
}

/// What an instance is still to be told.
pub(crate) struct News {
    /// The numbers and names of host functions.
    pub(crate) functions: Vec<(u32, String)>,
    pub(crate) clock: bool,
    pub(crate) modules: bool,
    pub(crate) files: bool,
    pub(crate) variables: bool,
}

impl Told {
    /// What a fresh instance was told.
    pub(crate) const NOTHING: &'static Told = &Told {
        functions: BTreeMap::new(),
        clock: false,
        modules: false,
        files: false,
        variables: None,
    };

    /// What `granted` has that was not told.
    pub(crate) fn news(&self, granted: &Granted, numbers: Option<&Numbers>) -> News {
        let is_told = |name: &str| self.functions.values().any(|told| told == name);
        let functions = granted
            .functions()
            .filter(|(_, name, granted)| *granted && !is_told(name))
            .map(|(number, name, _)| {
                let number = numbers.map_or(number, |numbers| numbers.of_guest(number));
                (number, name.to_owned())
            });
        let variables = granted.grants().granted_variables();
        News {
            functions: functions.collect(),
            clock: granted.clock().is_some() && !self.clock,
            modules: granted.has_modules() && !self.modules,
            files: granted.has_folders() && !self.files,
            variables: !variables.is_empty() && self.variables.as_ref() != Some(variables),
        }
    }

    /// This, and `granted` besides.
    pub(crate) fn and(&self, granted: &Granted, numbers: Option<&Numbers>) -> Told {
        let news = self.news(granted, numbers);
        let mut told = self.clone();
        told.functions.extend(news.functions);
        told.clock |= news.clock;
        told.modules |= news.modules;
        told.files |= news.files;
        if news.variables {
            told.variables = Some(granted.grants().granted_variables().clone());
        }
        told
    }
}

impl News {
    /// Whether there are any.
    pub(crate) fn is_any(&self) -> bool {
        self.clock || self.modules || self.files || self.variables || !self.functions.is_empty()
    }
}

/// The numbers of host functions in a memory that another pool has made: a function's number is its
/// place in one pool's list.
#[derive(Debug)]
pub(crate) struct Numbers {
    /// By the guest's number, the pool's.
    to_pool: Vec<Option<u32>>,
    /// By the pool's number, the guest's.
    to_guest: Vec<u32>,
}

impl Numbers {
    /// Those of a memory that was told this, in a pool with these functions. Nothing where they are the
    /// same.
    ///
    /// # Errors
    ///
    /// `Options` where the pool lacks one of them.
    pub(crate) fn new(told: &Told, functions: &Functions) -> Result<Option<Arc<Numbers>>> {
        let is_same = |(number, name): (&u32, &String)| functions.name(*number) == Some(name);
        if told.functions.iter().all(is_same) {
            return Ok(None);
        }
        let count = functions.names().count();
        let mut to_pool = Vec::new();
        let mut to_guest = vec![None; count];
        for (number, name) in &told.functions {
            let Some(of_pool) = functions.number(name) else {
                return Err(Error::options(format_args!(
                    "the snapshot has the host function '{name}', which this pool has not"
                )));
            };
            // As many as the file says, and that is as it was written.
            let place = *number as usize;
            if to_pool.len() <= place {
                to_pool.resize(place + 1, None);
            }
            to_pool[place] = Some(of_pool);
            to_guest[of_pool as usize] = Some(*number);
        }
        let to_guest = (0..).zip(to_guest).map(|(of_pool, number)| {
            number.unwrap_or_else(|| {
                to_pool.push(Some(of_pool));
                u32::try_from(to_pool.len() - 1).expect("nobody has that many functions")
            })
        });
        let to_guest = to_guest.collect();
        Ok(Some(Arc::new(Numbers { to_pool, to_guest })))
    }

    /// The pool's number of what the guest calls `number`.
    pub(crate) fn of_pool(&self, number: u32) -> Option<u32> {
        *self.to_pool.get(usize::try_from(number).ok()?)?
    }

    /// The guest's number of the pool's function `number`, which there is.
    pub(crate) fn of_guest(&self, number: u32) -> u32 {
        self.to_guest[number as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(names: &[&str]) -> Functions {
        let mut functions = Functions::default();
        for name in names {
            functions.add((*name).to_owned(), |_, ()| Ok(()));
        }
        functions
    }

    fn told(functions: &[(u32, &str)]) -> Told {
        Told {
            functions: functions
                .iter()
                .map(|(number, name)| (*number, (*name).to_owned()))
                .collect(),
            ..Told::default()
        }
    }

    #[test]
    fn functions_are_found_by_their_names() {
        let told = told(&[(0, "a"), (2, "c")]);
        let same = Numbers::new(&told, &functions(&["a", "b", "c"])).unwrap();
        assert!(same.is_none());
        let other = Numbers::new(&told, &functions(&["c", "b", "a", "d"]));
        let other = other.unwrap().unwrap();
        assert_eq!(
            [0, 1, 2].map(|number| other.of_pool(number)),
            [Some(2), None, Some(0)]
        );
        let guest = [0, 1, 2, 3].map(|number| other.of_guest(number));
        assert_eq!(guest, [2, 3, 0, 4]);
        assert_eq!(
            guest.map(|number| other.of_pool(number)),
            [0, 1, 2, 3].map(Some)
        );
        assert_eq!(other.of_pool(99), None);
    }

    #[test]
    fn a_function_that_is_gone_is_refused() {
        let error = Numbers::new(&told(&[(1, "gone")]), &functions(&["a"])).unwrap_err();
        assert!(error.to_string().contains("'gone'"), "{error}");
    }
}

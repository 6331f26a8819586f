//! Which items an end is of, as it passes: neighbours as a rule, so that a first one and a count say it.

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// The most keys of one end: many more than go into a chunk.
const MOST: u64 = 1 << 20;

/// Keys of items, each once, in rising order; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys(Vec<u64>);

impl Keys {
    /// The one of a single item.
    pub(crate) fn one(key: u64) -> Keys {
        Keys(vec![key])
    }

    /// All of these, if there are any.
    pub(crate) fn of(mut keys: Vec<u64>) -> Option<Keys> {
        keys.sort_unstable();
        keys.dedup();
        (!keys.is_empty()).then_some(Keys(keys))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn into_vec(self) -> Vec<u64> {
        self.0
    }
}

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let runs = self
            .0
            .chunk_by(|one, next| one.checked_add(1) == Some(*next));
        let runs = runs.filter_map(|run| Some((*run.first()?, run.len() as u64)));
        runs.collect::<Vec<_>>().serialize(out)
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Keys, D::Error> {
        let mut keys = Vec::new();
        let mut after = 0;
        for (first, count) in Vec::<(u64, u64)>::deserialize(source)? {
            let end = first.checked_add(count);
            // It takes memory as keys, not as bytes.
            let is_sound = first >= after && count > 0 && count <= MOST - keys.len() as u64;
            let Some(end) = end.filter(|_| is_sound) else {
                return Err(de::Error::custom("keys that can't be"));
            };
            keys.extend(first..end);
            after = end;
        }
        match keys.is_empty() {
            true => Err(de::Error::custom("an end of no item")),
            false => Ok(Keys(keys)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{decode, encode};

    #[test]
    fn neighbours_take_a_few_bytes() {
        let all = Keys::of((0..1000).filter(|key| *key != 500).collect()).expect("some");
        let bytes = encode(&all).expect("it is small");
        assert!(bytes.len() < 20, "{}", bytes.len());
        assert_eq!(decode(&bytes), Ok(all));
    }

    #[test]
    fn each_is_there_once() {
        let keys = Keys::of(vec![3, u64::MAX, 1, 3]).expect("some");
        assert_eq!(keys.clone().into_vec(), [1, 3, u64::MAX]);
        assert_eq!(Keys::of(Vec::new()), None);
    }

    #[test]
    fn what_says_one_twice_or_none_is_refused() {
        let sound = [(0, 2), (2, 1)];
        assert!(decode::<Keys>(&encode(&sound).unwrap()).is_ok());
        let wrong: [&[(u64, u64)]; 6] = [
            &[],
            &[(0, 0)],
            &[(0, 2), (1, 1)],
            &[(5, 1), (0, 1)],
            &[(0, MOST + 1)],
            &[(u64::MAX, 2)],
        ];
        for wrong in wrong {
            let bytes = encode(&wrong).unwrap();
            assert!(decode::<Keys>(&bytes).is_err(), "{wrong:?}");
        }
    }
}

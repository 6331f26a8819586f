//! What some branches gave a key, on its way from the process that they ran in.

use std::collections::HashMap;
use std::sync::Arc;

use num_bigint::BigInt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codec::Bytes;
use crate::workflow::execute::best::Best;
use crate::workflow::execute::exact::{ExactSum, SCALE};
use crate::workflow::execute::partial::{Partial, What, put_first};
use crate::workflow::json::Json;
use crate::workflow::state::State;
use crate::workflow::worker::pack::{Packed, pack_value, unpack_value};

/// A [`Partial`] as it passes to a side that has the state which the branches started on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartialSent {
    is_given: bool,
    what: WhatSent,
    wrong: Option<(usize, String)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum WhatSent {
    Lists(Vec<(usize, Vec<Value>)>),
    Set(Vec<(usize, usize, Value)>),
    Sum(SumSent),
    Best(Option<BestSent>, Option<BestSent>),
    Last(Option<(usize, Packed)>),
}

/// The first branch, its name, the best one, and its value, which is a number or a string.
type BestSent = (usize, String, usize, Value);

impl PartialSent {
    pub(crate) fn new(partial: Partial, base: &State) -> PartialSent {
        let best = |best: Option<Best>| {
            best.map(|best| {
                let (first, branch) = best.first;
                let (index, value) = best.best;
                (first, branch.to_string(), index, value.into_value())
            })
        };
        PartialSent {
            is_given: partial.is_given,
            what: match partial.what {
                What::Lists(lists) => WhatSent::Lists(lists.into_iter().collect()),
                What::Set(set) => {
                    let mut items: Vec<_> = set.into_values().collect();
                    items.sort_unstable_by_key(|(index, at, _)| (*index, *at));
                    WhatSent::Set(items)
                }
                What::Sum(sum) => WhatSent::Sum(sum.into()),
                What::Best { numbers, strings } => WhatSent::Best(best(numbers), best(strings)),
                What::Last(last) => {
                    WhatSent::Last(last.map(|(index, value)| (index, pack_value(&value, base))))
                }
            },
            wrong: partial.wrong,
        }
    }

    /// The same on that side.
    ///
    /// # Errors
    /// If a value in it can't be had.
    pub(crate) fn partial(self, base: &State) -> Result<Partial, String> {
        let best = |best: Option<BestSent>| {
            best.map(|(first, branch, index, value)| Best {
                first: (first, Arc::from(branch)),
                best: (index, Json::from(value)),
            })
        };
        Ok(Partial {
            is_given: self.is_given,
            what: match self.what {
                WhatSent::Lists(lists) => What::Lists(lists.into_iter().collect()),
                WhatSent::Set(items) => {
                    let mut set = HashMap::new();
                    for item in items {
                        put_first(&mut set, item.2.to_string(), item);
                    }
                    What::Set(set)
                }
                WhatSent::Sum(sum) => What::Sum(sum.try_into()?),
                WhatSent::Best(numbers, strings) => What::Best {
                    numbers: best(numbers),
                    strings: best(strings),
                },
                WhatSent::Last(last) => {
                    let unpack =
                        |(index, packed)| Ok::<_, String>((index, unpack_value(packed, base)?));
                    What::Last(last.map(unpack).transpose()?)
                }
            },
            wrong: self.wrong,
        })
    }
}

/// A sum as it passes to another process: its two parts as the bytes of whole numbers, the least ones first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SumSent {
    integers: Bytes,
    floats: Option<Bytes>,
}

/// The bits that a part of a sum may have: more than 2^32 numbers need, and so few that nothing overflows
/// where sums of a million processes come together.
const MAX_INTEGER_BITS: u64 = 100;
const MAX_FLOAT_BITS: u64 = 2 * SCALE as u64 + 64;

impl From<ExactSum> for SumSent {
    fn from(sum: ExactSum) -> SumSent {
        let bytes = |part: &BigInt| Bytes(part.to_signed_bytes_le());
        SumSent {
            integers: bytes(&BigInt::from(sum.integers)),
            floats: sum.floats.as_ref().map(bytes),
        }
    }
}

impl TryFrom<SumSent> for ExactSum {
    type Error = String;

    fn try_from(sent: SumSent) -> Result<ExactSum, String> {
        let part = |bytes: &Bytes, most: u64| {
            let part = BigInt::from_signed_bytes_le(&bytes.0);
            let is_sound = part.bits() <= most;
            is_sound.then_some(part).ok_or("a sum that can't be")
        };
        let integers = i128::try_from(part(&sent.integers, MAX_INTEGER_BITS)?);
        let floats = sent.floats.as_ref();
        Ok(ExactSum {
            integers: integers.map_err(|error| error.to_string())?,
            floats: floats
                .map(|bytes| part(bytes, MAX_FLOAT_BITS))
                .transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::execute::reduce::Reduction;
    use crate::workflow::model::Reducer::{self, Append, Last, Max, Min, Sum, Union};
    use crate::workflow::worker::frame;
    use rstest::rstest;
    use serde_json::json;

    /// What becomes of values that are folded in so many other processes.
    fn passed(
        reducer: Reducer,
        before: &Value,
        given: &[Value],
        parts: usize,
    ) -> Result<String, String> {
        let mut base = State::default();
        base.set("key", before.clone());
        let reduction = Reduction::new(reducer, "key", base.get("key"))?;
        let mut all = reduction.empty();
        for part in 0..parts {
            let mut partial = reduction.empty();
            for (index, value) in given
                .iter()
                .enumerate()
                .filter(|(index, _)| index % parts == part)
            {
                let name = format!("b[{index}]").into();
                reduction.take(&mut partial, index, &name, &value.clone().into());
            }
            let bytes = frame::to_bytes(&PartialSent::new(partial, &base)).expect("it is small");
            let sent: PartialSent = frame::from_bytes(&bytes).expect("it was just written");
            reduction.join(&mut all, sent.partial(&base)?);
        }
        let value = reduction.finish(all)?;
        Ok(value.map_or_else(String::new, |it| it.into_value().to_string()))
    }

    #[rstest]
    #[case(Append, json!([0]), json!([[0, 1], [0, {"a": 1.0}], null, [2]]))]
    #[case(Union, json!(["x"]), json!([[1, 2], ["x", 2, 1.0], [{"b": [], "a": 1}], [{"a": 1, "b": []}]]))]
    #[case(Sum, json!(0.1), json!([0.3, 1e300, -1e300, 5e-324, 9_007_199_254_740_993_i64, 0.7]))]
    #[case(Sum, json!(null), json!([i64::MAX, i64::MAX, i64::MIN, i64::MIN, 3]))]
    #[case(Sum, json!(null), json!([null, null]))]
    #[case(Sum, json!(null), json!([1, "x", 3, []]))]
    #[case(Sum, json!(1), json!([]))]
    #[case(Min, json!(null), json!([3, 2.0, 2, 7]))]
    #[case(Max, json!("b"), json!(["a", "c", "c"]))]
    #[case(Max, json!(null), json!(["a", 1, "c", 2]))]
    #[case(Last, json!([1]), json!([{"x": 1}, [1], -0.0]))]
    #[case(Last, json!(1), json!([2, null]))]
    fn what_is_folded_elsewhere_is_what_is_folded_here(
        #[case] reducer: Reducer,
        #[case] before: Value,
        #[case] given: Value,
    ) {
        let given = given.as_array().expect("a list");
        let reduction =
            Reduction::new(reducer, "key", Some(&before.clone().into())).expect("a fine one");
        let mut all = reduction.empty();
        for (index, value) in given.iter().enumerate() {
            let name = format!("b[{index}]").into();
            reduction.take(&mut all, index, &name, &value.clone().into());
        }
        let here = reduction.finish(all);
        let here = here.map(|it| it.map_or_else(String::new, |it| it.into_value().to_string()));
        for parts in [1, 2, 3, 6] {
            assert_eq!(
                passed(reducer, &before, given, parts),
                here,
                "{parts} parts"
            );
        }
    }

    #[test]
    fn a_sum_that_would_overflow_is_refused() {
        let sent =
            |integers: i128, floats: Option<BigInt>| SumSent::from(ExactSum { integers, floats });
        assert!(ExactSum::try_from(sent(1 << 99, Some(BigInt::from(1) << 2098))).is_ok());
        assert!(ExactSum::try_from(sent(1 << 100, None)).is_err());
        assert!(ExactSum::try_from(sent(i128::MIN, None)).is_err());
        assert!(ExactSum::try_from(sent(0, Some(BigInt::from(1) << 5000))).is_err());
    }
}

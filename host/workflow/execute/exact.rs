//! Numbers without rounding: what comes of a sum doesn't hang on the order of what is added.

use std::cmp::Ordering;

use num_bigint::{BigInt, BigUint, Sign};
use serde_json::Number;

/// The smallest float above zero is 2 to the power of minus this: each float is a whole number of those.
pub(super) const SCALE: u32 = 1074;

/// Bits of a float's significand.
const PRECISION: u64 = f64::MANTISSA_DIGITS as u64;

/// A sum that is rounded once, when it is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ExactSum {
    /// No more than 2^64 integers are ever added up, so that it can't overflow.
    pub(super) integers: i128,
    /// In units of the smallest float, if any of the numbers was a float.
    pub(super) floats: Option<BigInt>,
}

impl ExactSum {
    /// Adds a number.
    pub(crate) fn add(&mut self, number: &Number) {
        match number.as_i64() {
            Some(integer) => self.integers += i128::from(integer),
            None => *self.floats.get_or_insert_default() += units(number),
        }
    }

    /// Takes off a number.
    pub(crate) fn subtract(&mut self, number: &Number) {
        match number.as_i64() {
            Some(integer) => self.integers -= i128::from(integer),
            None => *self.floats.get_or_insert_default() -= units(number),
        }
    }

    /// Adds another sum.
    pub(crate) fn join(&mut self, other: ExactSum) {
        self.integers += other.integers;
        if let Some(floats) = other.floats {
            *self.floats.get_or_insert_default() += floats;
        }
    }

    /// The sum: an integer if all numbers were; `None` if it is beyond what a number can be.
    pub(crate) fn number(self) -> Option<Number> {
        match self.floats {
            None => i64::try_from(self.integers).ok().map(Number::from),
            Some(floats) => {
                Number::from_f64(nearest(&(floats + (BigInt::from(self.integers) << SCALE))))
            }
        }
    }
}

/// Compares two numbers by their values, integers with floats as well.
pub(crate) fn compare(one: &Number, other: &Number) -> Ordering {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => units(one).cmp(&units(other)),
    }
}

/// A number in units of the smallest float.
fn units(number: &Number) -> BigInt {
    if let Some(integer) = number.as_i64() {
        return BigInt::from(integer) << SCALE;
    }
    let float = number.as_f64().unwrap_or(0.0);
    let bits = float.to_bits();
    let fraction = bits & ((1 << (PRECISION - 1)) - 1);
    let magnitude = match (bits >> (PRECISION - 1)) & 0x7ff {
        0 => BigInt::from(fraction),
        exponent => BigInt::from(fraction | (1 << (PRECISION - 1))) << (exponent - 1),
    };
    match float.is_sign_negative() {
        true => -magnitude,
        false => magnitude,
    }
}

/// The nearest float, of two that are as near the even one, as everywhere in floating point; infinite
/// where it is beyond all floats.
fn nearest(units: &BigInt) -> f64 {
    let magnitude = units.magnitude();
    let shift = magnitude.bits().saturating_sub(PRECISION);
    let mut significand = low_bits(&(magnitude >> shift));
    if shift > 0 && magnitude.bit(shift - 1) {
        let is_tie = magnitude.trailing_zeros() == Some(shift - 1);
        if !is_tie || significand % 2 == 1 {
            significand += 1;
        }
    }
    // The exponent counts the places that were shifted; a significand that was rounded up to the
    // next power of two carries into it, as it should.
    let bits = match shift < 0x7ff {
        true => (shift << (PRECISION - 1)) + significand,
        false => f64::INFINITY.to_bits(),
    };
    let float = f64::from_bits(bits.min(f64::INFINITY.to_bits()));
    match units.sign() {
        Sign::Minus => -float,
        _ => float,
    }
}

fn low_bits(number: &BigUint) -> u64 {
    number.iter_u64_digits().next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn number(value: &Value) -> Number {
        match value {
            Value::Number(number) => number.clone(),
            other => panic!("not a number: {other}"),
        }
    }

    fn sum(values: &[Value]) -> Option<Number> {
        let mut sum = ExactSum::default();
        values.iter().for_each(|value| sum.add(&number(value)));
        sum.number()
    }

    #[rstest]
    #[case::integers(&[json!(1), json!(2)], json!(3))]
    #[case::over_the_edge_and_back(&[json!(i64::MAX), json!(1), json!(-1)], json!(i64::MAX))]
    #[case::no_integer_any_more(&[json!(1), json!(2.0)], json!(3.0))]
    #[case::rounded_once(&[json!(0.1), json!(0.2), json!(0.3)], json!(0.6))]
    #[case::what_would_be_lost(&[json!(1e300), json!(1.0), json!(-1e300)], json!(1.0))]
    #[case::beyond_floats_and_back(&[json!(1e308), json!(1e308), json!(-1e308)], json!(1e308))]
    #[case::large_integers(&[json!(9_007_199_254_740_993_i64), json!(0.0)], json!(9_007_199_254_740_992.0))]
    #[case::to_the_even_one(&[json!(9_007_199_254_740_995_i64), json!(0.0)], json!(9_007_199_254_740_996.0))]
    #[case::nearly_a_tie(&[json!(9_007_199_254_740_993_i64), json!(0.25)], json!(9_007_199_254_740_994.0))]
    #[case::the_smallest(&[json!(5e-324), json!(5e-324)], json!(1e-323))]
    #[case::carried(&[json!(9_007_199_254_740_991.0), json!(0.75)], json!(9_007_199_254_740_992.0))]
    #[case::nothing(&[], json!(0))]
    #[case::zero(&[json!(-0.0)], json!(0.0))]
    fn sums(#[case] values: &[Value], #[case] expected: Value) {
        assert_eq!(sum(values), Some(number(&expected)));
    }

    #[rstest]
    #[case(&[json!(i64::MAX), json!(1)])]
    #[case(&[json!(1.7e308), json!(1.7e308)])]
    fn beyond_what_a_number_can_be(#[case] values: &[Value]) {
        assert_eq!(sum(values), None);
    }

    #[rstest]
    #[case(json!(1), json!(1.5), Ordering::Less)]
    #[case(json!(2), json!(2.0), Ordering::Equal)]
    #[case(json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992.0), Ordering::Greater)]
    #[case(json!(-1.5), json!(-1), Ordering::Less)]
    #[case(json!(i64::MAX), json!(9_223_372_036_854_775_808.0), Ordering::Less)]
    fn order(#[case] one: Value, #[case] other: Value, #[case] expected: Ordering) {
        let (one, other) = (number(&one), number(&other));
        assert_eq!(compare(&one, &other), expected);
        assert_eq!(compare(&other, &one), expected.reverse());
    }

    fn add_all<'n>(numbers: impl IntoIterator<Item = &'n Number>) -> ExactSum {
        let mut sum = ExactSum::default();
        numbers.into_iter().for_each(|it| sum.add(it));
        sum
    }

    /// Any finite float, by its bits.
    fn any_float(random: &mut fastrand::Rng) -> f64 {
        loop {
            let float = f64::from_bits(random.u64(..));
            if float.is_finite() {
                return float;
            }
        }
    }

    fn float(float: f64) -> Number {
        Number::from_f64(float).expect("it is finite")
    }

    #[test]
    fn one_number_is_its_own_sum() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let any = any_float(&mut random);
            let sum = add_all([&float(any)]).number().and_then(|it| it.as_f64());
            assert_eq!(sum, Some(any));
        }
    }

    #[test]
    fn two_floats_are_added_as_the_processor_does() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..10_000 {
            let one = any_float(&mut random);
            // Of about the same size: others hardly touch each other.
            let other = one * (random.f64() * 4.0 - 2.0);
            if !(one + other).is_finite() || !other.is_finite() {
                continue;
            }
            let sum = add_all([&float(one), &float(other)]).number();
            assert_eq!(sum.and_then(|it| it.as_f64()), Some(one + other));
        }
    }

    #[test]
    fn neither_the_order_nor_the_parts_matter() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..300 {
            let count = random.usize(0..40);
            let mut numbers: Vec<_> = (0..count)
                .map(|_| match random.u8(0..3) {
                    0 => Number::from(random.i64(..)),
                    1 => float(any_float(&mut random)),
                    _ => float(f64::from(random.i32(-1000..1000)) / 7.0),
                })
                .collect();
            let whole = add_all(&numbers);
            random.shuffle(&mut numbers);
            let (left, right) = numbers.split_at(random.usize(0..=count));
            let mut joined = add_all(right);
            joined.join(add_all(left));
            assert_eq!(whole.number(), joined.number());
        }
    }
}

//! What is granted is there, and what isn't is not: each capability as a pair.

use std::time::Duration;

use moonfork::{Clock, Error, Grants, Pool, RunOptions};
use rstest::rstest;
use serde_json::{Value, json};

use crate::common;

fn pool() -> Pool {
    common::builder()
        .function("add", |(a, b): (i64, i64)| Ok(a + b))
        .function("sub", |(a, b): (i64, i64)| Ok(a - b))
        .function("same", |(value,): (Value,)| Ok(value))
        .module(
            "tax",
            "local tax = {} function tax.of(x) return x * 0.25 end return tax",
        )
        .module(
            "shop",
            "local tax = require 'tax' return function(x) return x + tax.of(x) end",
        )
        .module("counter", "count = (count or 0) + 1 return nil")
        .module("selfish", "return require 'selfish'")
        .module("broken", "local x =\n= 1")
        .module("failing", "local x = nil\nreturn x.y")
        .build()
        .unwrap()
}

fn eval(grants: Grants, code: &str) -> Result<Value, Error> {
    let pool = pool();
    let mut branch = pool.branch_with(&RunOptions::new().grants(grants))?;
    branch.eval(code)
}

#[rstest]
#[case::clock("os.time()", "clock")]
#[case::modules("require('tax')", "modules")]
#[case::folders("fs.read('data/x')", "folders")]
#[case::variables("variables.x", "variables")]
#[case::function("add(1, 2)", "function add")]
fn what_is_not_granted_is_not_there(#[case] code: &str, #[case] capability: &str) {
    let name = code.split(['.', '(']).next().unwrap();
    assert_eq!(eval(Grants::none(), name).unwrap(), Value::Null, "{name}");
    let error = eval(Grants::none(), code).unwrap_err();
    assert!(error.is_denied() && !error.is_script(), "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("the capability '{capability}'")),
        "{error}"
    );
}

#[test]
fn a_name_that_is_nobody_s_is_an_error_of_the_script() {
    let error = eval(Grants::none(), "multiply(1, 2)").unwrap_err();
    assert!(error.is_script() && !error.is_denied(), "{error}");
}

mod functions {
    use super::*;

    #[test]
    fn those_granted_can_be_called_and_others_not() {
        let grants = || Grants::none().function("add");
        assert_eq!(eval(grants(), "add(1, 2)").unwrap(), json!(3));
        assert!(eval(grants(), "sub(1, 2)").unwrap_err().is_denied());
        assert_eq!(
            eval(Grants::none().all_functions(), "sub(3, 2)").unwrap(),
            json!(1)
        );
    }

    #[test]
    fn a_call_may_have_less_than_its_instance() {
        let pool = pool();
        let both = Grants::none().function("add").function("sub");
        let mut branch = pool.branch_with(&RunOptions::new().grants(both)).unwrap();
        let only_sub = RunOptions::new().grants(Grants::none().function("sub"));
        let error = branch.with(&only_sub).eval::<i64>("add(1, 2)").unwrap_err();
        assert!(error.is_denied(), "{error}");
        assert_eq!(branch.with(&only_sub).eval::<i64>("sub(1, 2)").unwrap(), -1);
        assert_eq!(branch.eval::<i64>("add(1, 2)").unwrap(), 3);
    }

    #[test]
    fn a_denial_can_be_caught() {
        let pool = pool();
        let mut branch = pool
            .branch_with(&RunOptions::new().grants(Grants::none().all_functions()))
            .unwrap();
        let nothing = RunOptions::new().grants(Grants::none());
        let caught: String = branch
            .with(&nothing)
            .eval("select(2, pcall(add, 1, 2))")
            .unwrap();
        assert_eq!(caught, "the host function 'add' is not granted to this run");
    }

    #[test]
    fn a_denial_raised_again_after_another_is_still_one() {
        let pool = pool();
        let options = RunOptions::new().grants(Grants::none().all_functions());
        let mut branch = pool.branch_with(&options).unwrap();
        let nothing = RunOptions::new().grants(Grants::none());
        let error = branch
            .with(&nothing)
            .eval::<()>("local _, first = pcall(add, 1, 2) pcall(sub, 1, 2) error(first, 0)")
            .unwrap_err();
        assert!(error.is_denied(), "{error}");
    }

    #[test]
    fn a_call_may_not_have_more_than_its_instance() {
        let pool = pool();
        let mut branch = pool.branch().unwrap();
        let more = RunOptions::new().grants(Grants::none().function("add"));
        let error = branch.with(&more).eval::<i64>("1").unwrap_err();
        assert!(error.is_options() && !error.ends_instance(), "{error}");
        assert_eq!(branch.eval::<i64>("1").unwrap(), 1);
    }

    #[test]
    fn names_that_the_pool_has_not_are_refused() {
        let error = eval(Grants::none().function("ad"), "1").unwrap_err();
        assert!(error.is_options(), "{error}");
        assert!(
            error.to_string().contains("it has: add, sub, same"),
            "{error}"
        );
        assert!(
            eval(Grants::none().module("taxes"), "1")
                .unwrap_err()
                .is_options()
        );
    }
}

mod clock {
    use super::*;

    /// 2009-02-13 23:31:30 UTC.
    fn fixed() -> Grants {
        Grants::none().clock(Clock::fixed(Duration::from_secs(1_234_567_890)))
    }

    #[rstest]
    #[case("os.time()", json!(1_234_567_890))]
    #[case("os.date('!%Y-%m-%d %H:%M:%S')", json!("2009-02-13 23:31:30"))]
    #[case("os.date('%Y-%m-%d %H:%M:%S', 0)", json!("1970-01-01 00:00:00"))]
    #[case("os.date('*t').yday", json!(44))]
    #[case("os.time({year = 2000, month = 1, day = 1, hour = 0})", json!(946_684_800))]
    #[case("os.time({year = 2001, month = 14, day = -3, hour = 0})", json!(1_012_176_000))]
    #[case("os.clock()", json!(0.0))]
    #[case("os.difftime(5, 2)", json!(3.0))]
    fn the_time_is_the_one_that_was_given(#[case] code: &str, #[case] expected: Value) {
        assert_eq!(eval(fixed(), code).unwrap(), expected);
    }

    #[test]
    fn nothing_else_of_os_comes_with_it() {
        let names = "local names = {} for name in pairs(os) do names[#names + 1] = name end
            table.sort(names) return names";
        assert_eq!(
            eval(fixed(), names).unwrap(),
            json!(["clock", "date", "difftime", "time"])
        );
    }

    #[test]
    fn the_host_s_clock_goes_on() {
        let grants = Grants::none().clock(Clock::system());
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let told = eval(grants, "os.time()").unwrap().as_u64().unwrap();
        assert!(told.abs_diff(now.as_secs()) < 3600, "{told}");
    }

    #[test]
    fn a_clock_may_be_taken_away_for_a_call() {
        let pool = pool();
        let mut branch = pool
            .branch_with(&RunOptions::new().grants(fixed()))
            .unwrap();
        let none = RunOptions::new().grants(Grants::none());
        for code in ["os.time()", "os.clock()", "os.date('%Y')"] {
            let error = branch.with(&none).eval::<Value>(code).unwrap_err();
            assert!(error.is_denied(), "{error}");
        }
        assert_eq!(branch.eval::<i64>("os.time()").unwrap(), 1_234_567_890);
    }

    #[test]
    fn a_clock_that_panics_at_once_is_an_error() {
        let clock = Clock::from_fn(|| panic!("out of order"));
        let error = eval(Grants::none().clock(clock), "1").unwrap_err();
        assert!(error.is_host_panic(), "{error}");
    }

    #[test]
    fn a_clock_that_panics_ends_the_instance() {
        let calls = std::sync::atomic::AtomicU32::new(0);
        let clock = Clock::from_fn(move || {
            let first = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            assert!(first, "out of order");
            Duration::ZERO
        });
        let error = eval(Grants::none().clock(clock), "os.time()").unwrap_err();
        assert!(error.is_host_panic(), "{error}");
    }
}

mod modules {
    use super::*;

    fn all() -> Grants {
        Grants::none().all_modules()
    }

    #[test]
    fn a_module_can_use_another() {
        assert_eq!(eval(all(), "require('shop')(4)").unwrap(), json!(5.0));
    }

    #[test]
    fn a_module_runs_once() {
        let code = "local a, b = require 'counter', require 'counter' return {count, a, b}";
        assert_eq!(eval(all(), code).unwrap(), json!([1, true, true]));
    }

    #[test]
    fn only_those_granted_can_be_loaded() {
        let grants = || Grants::none().module("tax");
        assert_eq!(eval(grants(), "require('tax').of(8)").unwrap(), json!(2.0));
        let error = eval(grants(), "local m = require('shop') return m").unwrap_err();
        assert!(error.is_denied(), "{error}");
        assert_eq!(
            error.to_string(),
            "eval:1: module 'shop' is not granted to this run"
        );
    }

    #[rstest]
    #[case("local m = require('absent')", "eval:1: there is no module 'absent'")]
    #[case("local m = require('selfish')", "requires itself")]
    #[case(
        "local m = require('broken')",
        "module 'broken':2: unexpected symbol near '='"
    )]
    #[case(
        "local m = require('failing')",
        "module 'failing':2: attempt to index a nil value (local 'x')"
    )]
    #[case(
        "local m = require(nil)",
        "bad argument #1 to 'require' (string expected, got nil)"
    )]
    #[case("local m = require('../../etc/passwd')", "there is no module")]
    fn what_can_not_be_loaded_says_why(#[case] code: &str, #[case] message: &str) {
        let error = eval(all(), code).unwrap_err();
        assert!(error.is_script(), "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }

    #[test]
    fn a_module_that_failed_may_be_tried_again() {
        let code = "pcall(require, 'failing') return select(2, pcall(require, 'failing'))";
        let message = eval(all(), code).unwrap();
        assert!(
            message.as_str().unwrap().contains("attempt to index"),
            "{message}"
        );
    }

    #[test]
    fn there_is_no_package() {
        assert_eq!(eval(all(), "package").unwrap(), Value::Null);
    }
}

mod random {
    use super::*;

    fn numbers(grants: Grants) -> Value {
        eval(grants, "{math.random(1 << 40), math.random(1 << 40)}").unwrap()
    }

    #[test]
    fn numbers_from_a_seed_are_the_same_again() {
        let seeded = |seed| numbers(Grants::none().seed(seed));
        assert_eq!(seeded(7), seeded(7));
        assert_ne!(seeded(7), seeded(8));
    }

    #[test]
    fn numbers_without_a_seed_are_not() {
        assert_ne!(numbers(Grants::none()), numbers(Grants::none()));
    }
}

mod output {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_sink_gets_what_is_printed_when_it_is_printed() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&seen);
        let grants = Grants::none().output(move |text| taken.lock().unwrap().push(text.to_vec()));
        let pool = pool();
        let options = RunOptions::new().output(8).grants(grants);
        let mut branch = pool.branch_with(&options).unwrap();
        branch
            .eval::<()>("print('one') print('two', 3) print('four')")
            .unwrap();
        assert_eq!(
            *seen.lock().unwrap(),
            [b"one\n".to_vec(), b"two\t".to_vec()]
        );
        let report = branch.take_report();
        assert_eq!(report.output, "one\ntwo\t");
        assert!(report.output_truncated);
        assert_eq!(report.output_bytes, "one\ntwo\t3\nfour\n".len() as u64);
    }

    #[test]
    fn a_sink_that_panics_ends_the_instance() {
        let grants = Grants::none().output(|_| panic!("full"));
        let error = eval(grants, "pcall(print, 1)").unwrap_err();
        assert_eq!(error.to_string(), "host function 'output' panicked: full");
    }
}

mod variables {
    use super::*;

    fn variables() -> Grants {
        Grants::none()
            .variable("region", "eu")
            .variable("rates", json!({"std": 0.19, "list": [1, 2, 3]}))
    }

    #[rstest]
    #[case("variables.region", json!("eu"))]
    #[case("variables.rates.std", json!(0.19))]
    #[case("#variables.rates.list", json!(3))]
    #[case("variables.absent", Value::Null)]
    #[case("local n = 0 for _, v in ipairs(variables.rates.list) do n = n + v end return n", json!(6))]
    #[case("local n = {} for k in pairs(variables) do n[#n + 1] = k end table.sort(n) return n", json!(["rates", "region"]))]
    fn they_can_be_read(#[case] code: &str, #[case] expected: Value) {
        assert_eq!(eval(variables(), code).unwrap(), expected);
    }

    #[rstest]
    #[case("variables.rates", json!({"std": 0.19, "list": [1, 2, 3]}))]
    #[case("{rates = variables.rates.list}", json!({"rates": [1, 2, 3]}))]
    #[case("json.decode(json.encode(variables)).rates.list[3]", json!(3))]
    #[case("add(#variables.rates.list, variables.rates.list[1])", json!(4))]
    #[case("same(variables)", json!({"region": "eu", "rates": {"std": 0.19, "list": [1, 2, 3]}}))]
    #[case("local kept = variables.rates variables = nil return kept", json!({"std": 0.19, "list": [1, 2, 3]}))]
    fn nothing_of_them_is_lost_on_their_way_out(#[case] code: &str, #[case] expected: Value) {
        let grants = variables().all_functions();
        assert_eq!(eval(grants, code).unwrap(), expected);
    }

    #[test]
    fn arrays_among_them_stay_arrays() {
        let grants = || Grants::none().variable("lists", json!([[], [1, null], {}]));
        let value = eval(grants(), "variables.lists").unwrap();
        assert_eq!(value, json!([[], [1, null], {}]));
    }

    #[rstest]
    #[case("variables.region = 'us'")]
    #[case("variables.new = 1")]
    #[case("variables.rates.std = 0")]
    #[case("local _, t = pairs(variables) t.region = 'us'")]
    #[case("setmetatable(variables, nil)")]
    fn they_can_not_be_written(#[case] code: &str) {
        let error = eval(variables(), code).unwrap_err();
        assert!(error.is_script(), "{error}");
    }
}

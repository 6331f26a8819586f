//! Names that stand for nothing, and conditions that fail, with `settings.strict` and without.

use moonfork::workflow::{RunSettings, Workflow};
use rstest::rstest;
use serde_json::{Map, json};

use crate::common;

/// A workflow that goes by `condition`, and the settings that make it strict.
fn text(condition: &str, strict: bool) -> String {
    let nodes = json!([
        {"name": "a", "run": "return {count = 1}", "goto": [{"if": condition, "to": "z"}, {"to": "y"}]},
        {"name": "y", "goto": "__end__"},
        {"name": "z"},
    ]);
    let all = json!({"variables": {"limit": 2}, "settings": {"strict": strict}, "nodes": nodes});
    all.to_string()
}

#[rstest]
#[case::root(
    "stat.count > 1",
    "`stat` is no variable, and no key",
    "did you mean `state`?"
)]
#[case::key(
    "cuont > 1",
    "`cuont` is no variable, and no key",
    "did you mean `count`?"
)]
#[case::variable(
    "count > variables.limt",
    "there is no variable `limt`",
    "did you mean `limit`?"
)]
#[case::like_none(
    "elsewhere == 1",
    "`elsewhere` is no variable",
    "declare `elsewhere` in `state_schema`"
)]
fn an_unknown_name_is_a_warning_and_an_error_where_it_is_strict(
    #[case] condition: &str,
    #[case] message: &str,
    #[case] hint: &str,
) {
    let loose = Workflow::parse(&text(condition, false), "w.yaml").unwrap();
    let [warning] = loose.warnings() else {
        panic!("{:?}", loose.warnings());
    };
    assert_eq!(warning.code().as_str(), "UNKNOWN_NAME");
    assert!(warning.message().contains(message), "{warning}");
    assert!(
        warning.hint().unwrap_or_default().contains(hint),
        "{warning}"
    );
    let error = Workflow::parse(&text(condition, true), "w.yaml")
        .map(|_| ())
        .unwrap_err();
    assert!(
        error.to_string().contains("error [UNKNOWN_NAME]"),
        "{error}"
    );
}

#[rstest]
#[case::of_the_state("state.count > 1 and state['count'] < 3")]
#[case::bare("count > variables.limit")]
#[case::from_the_input("state.anything > 1")]
#[case::methods("state.get('x', 1) > 1 and len(state) > 1")]
fn names_that_are_known(#[case] condition: &str) {
    let workflow = Workflow::parse(&text(condition, true), "w.yaml").unwrap();
    assert!(workflow.warnings().is_empty(), "{:?}", workflow.warnings());
}

/// What a host function gives has keys that are written out nowhere.
#[rstest]
#[case::of_a_node("uses: find_order")]
#[case::called_by_lua("run: return find_order(1)")]
#[case::from_json("run: return json.decode('{}')")]
#[case::of_the_input("run: return state.payload")]
fn keys_that_come_from_elsewhere_are_no_slips(#[case] work: &str) {
    let text = |work: &str, strict: bool, key: &str| {
        format!(
            "
settings: {{strict: {strict}}}
state_schema: {{payload: mapping}}
nodes:
  - name: a
    {work}
    goto: [{{if: {key} > 1, to: b}}]
  - {{name: b}}
"
        )
    };
    for key in ["stats.count", "state.stats"] {
        let loose = Workflow::parse(&text(work, false, key), "w.yaml").unwrap();
        assert!(loose.warnings().is_empty(), "{:?}", loose.warnings());
        let closed = text("run: return {count = 1}", false, key);
        let closed = Workflow::parse(&closed, "w.yaml").unwrap();
        assert_eq!(closed.warnings().len(), 1, "{key}");
        let strict = Workflow::parse(&text(work, true, key), "w.yaml").map(|_| ());
        let error = strict.unwrap_err().to_string();
        assert!(error.contains("error [UNKNOWN_NAME]"), "{error}");
    }
}

#[test]
fn a_schema_says_which_keys_there_are() {
    let text = |key: &str| {
        format!(
            "state_schema: {{orders: list}}\nnodes:\n  - {{name: a, goto: [{{if: '{key}', to: b}}]}}\n  - {{name: b}}\n"
        )
    };
    let known = Workflow::parse(&text("state.orders and orders"), "w.yaml").unwrap();
    assert!(known.warnings().is_empty(), "{:?}", known.warnings());
    let unknown = Workflow::parse(&text("state.ordrs"), "w.yaml").unwrap();
    let hint = unknown.warnings()[0].hint();
    assert_eq!(hint, Some("did you mean `state.orders`?"));
}

#[rstest]
#[case::in_a_goto(text("state.count > 'x'", false), text("state.count > 'x'", true))]
#[case::in_a_loop(
    "{nodes: [{name: a, type: while_loop, condition: \"1 > 'x'\", max_iterations: 3, body: [{name: b}]}]}".to_owned(),
    "{settings: {strict: true}, nodes: [{name: a, type: while_loop, condition: \"1 > 'x'\", max_iterations: 3, body: [{name: b}]}]}".to_owned()
)]
fn a_condition_that_fails_counts_as_false_and_fails_the_run_where_it_is_strict(
    #[case] loose: String,
    #[case] strict: String,
) {
    let run = |text: &str| {
        let workflow = Workflow::parse(text, "w.yaml").unwrap();
        workflow.run(common::pool(), Map::new(), &RunSettings::new())
    };
    run(&loose).unwrap();
    let error = run(&strict).unwrap_err();
    assert!(
        error.to_string().contains("node 'a': the condition `"),
        "{error}"
    );
    assert_eq!(error.node(), Some("a"));
}

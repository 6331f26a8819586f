//! Where a run goes, printed: sequences, fan-outs, and the fan-ins they meet in.

use insta::assert_snapshot;
use moonfork::workflow::Workflow;

/// The plan of a workflow that is accepted without a warning.
#[track_caller]
fn plan(text: &str) -> String {
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    assert!(workflow.warnings().is_empty(), "{:?}", workflow.warnings());
    workflow.plan().to_string()
}

#[test]
fn nodes_follow_each_other_as_they_are_written() {
    assert_snapshot!(plan("nodes: [{name: a}, {name: b}, {name: c}]\n"), @"
    __start__ -> a
    a -> b
    b -> c
    c -> __end__
    ");
}

#[test]
fn edges_override_the_written_order() {
    let text = "
nodes: [{name: c}, {name: b}, {name: a}]
edges:
  - {from: __start__, to: a}
  - {from: a, to: b}
  - {from: b, to: c}
  - {from: c, to: __end__}
";
    assert_snapshot!(plan(text), @"
    __start__ -> a
    a -> b
    b -> c
    c -> __end__
    ");
}

#[test]
fn branches_have_any_number_of_nodes_and_lead_to_the_named_fan_in() {
    let text = "
nodes: [{name: split}, {name: a1}, {name: a2}, {name: b}, {name: c}, {name: join}]
edges:
  - {from: split, parallel: [a1, b, c], fan_in: join}
  - {from: a1, to: a2}
  - {from: a2, to: join}
  - {from: c, to: __end__}
";
    assert_snapshot!(plan(text), @"
    __start__ -> split
    split -> [a1, b, c] -> join
        a1 -> a2 -> join
        b -> join
        c -> __end__
    join -> __end__
    ");
}

#[test]
fn parallel_edges_of_one_node_are_one_fan_out() {
    let text = "
nodes: [{name: split}, {name: a}, {name: b}, {name: join}]
edges:
  - {from: split, to: b, type: parallel, fan_in: join}
  - {from: split, to: a, type: parallel, fan_in: join}
";
    assert_snapshot!(plan(text), @"
    __start__ -> split
    split -> [b, a] -> join
        b -> join
        a -> join
    join -> __end__
    ");
}

#[test]
fn an_unnamed_fan_in_is_the_first_node_that_all_branches_pass() {
    let text = "
nodes: [{name: a}, {name: b1}, {name: b2}, {name: join}, {name: last}]
edges:
  - {from: __start__, parallel: [a, b1]}
  - {from: a, to: join}
  - {from: b1, to: b2}
  - {from: b2, to: join}
  - {from: join, to: last}
";
    assert_snapshot!(plan(text), @"
    __start__ -> [a, b1] -> join
        a -> join
        b1 -> b2 -> join
    join -> last
    last -> __end__
    ");
}

#[test]
fn a_node_that_only_one_branch_passes_is_none() {
    let text = "
nodes: [{name: split}, {name: a1}, {name: a2}, {name: b}, {name: join}]
edges:
  - {from: split, parallel: [a1, b]}
  - {from: a1, to: a2}
  - {from: a2, to: join}
  - {from: b, to: join}
";
    assert_snapshot!(plan(text), @"
    __start__ -> split
    split -> [a1, b] -> join
        a1 -> a2 -> join
        b -> join
    join -> __end__
    ");
}

#[test]
fn a_way_that_may_be_closed_leads_to_where_the_open_ones_meet() {
    let text = "
nodes: [{name: a, goto: [{if: state.x, to: join}]}, {name: b}, {name: join}]
edges:
  - {from: __start__, parallel: [a, b]}
  - {from: b, to: join}
";
    assert_snapshot!(plan(text), @"
    __start__ -> [a, b] -> join
        a -> join if state.x
        a -> join otherwise
        b -> join
    join -> __end__
    ");
}

#[test]
fn a_branch_that_leads_nowhere_does_not_say_where_the_others_meet() {
    let text = "
nodes: [{name: a1}, {name: a2}, {name: b}, {name: join}]
edges:
  - {from: __start__, parallel: [a1, b]}
  - {from: a1, to: a2}
  - {from: a2, to: join}
";
    let error = Workflow::parse(text, "w.yaml").expect_err("`b` could meet `a1` anywhere");
    assert_eq!(
        error.problems()[0].code().as_str(),
        "PARALLEL_FAN_IN_MISSING"
    );
}

#[test]
fn long_branches_are_planned_in_no_time() {
    let (mut nodes, mut edges) = (String::new(), String::new());
    for branch in ["a", "b"] {
        for node in 0..3000 {
            nodes.push_str(&format!("  - {{name: {branch}{node}}}\n"));
            let next = match node {
                2999 => "join".to_owned(),
                _ => format!("{branch}{}", node + 1),
            };
            edges.push_str(&format!("  - {{from: {branch}{node}, to: {next}}}\n"));
        }
    }
    let text = format!(
        "nodes:\n{nodes}  - {{name: join}}\nedges:\n  - {{from: __start__, parallel: [a0, b0]}}\n{edges}"
    );
    assert!(plan(&text).contains("__start__ -> [a0, b0] -> join"));
}

#[test]
fn a_node_marked_as_fan_in_collects_before_any_other() {
    let text = "
nodes: [{name: a}, {name: b}, {name: tail}, {name: join, fan_in: true}]
edges:
  - {from: __start__, parallel: [a, b]}
  - {from: a, to: tail}
  - {from: b, to: tail}
  - {from: tail, to: join}
";
    assert_snapshot!(plan(text), @"
    __start__ -> [a, b] -> join
        a -> tail -> join
        b -> tail -> join
    join -> __end__
    ");
}

#[test]
fn branches_without_edges_lead_to_the_next_node_marked_as_fan_in() {
    let text = "
nodes:
  - {name: first}
  - {name: a}
  - {name: b}
  - {name: join_first, fan_in: true}
  - {name: second}
  - {name: c}
  - {name: d}
  - {name: join_second, fan_in: true}
edges:
  - {from: first, parallel: [a, b]}
  - {from: second, parallel: [c, d]}
";
    assert_snapshot!(plan(text), @"
    __start__ -> first
    first -> [a, b] -> join_first
        a -> join_first
        b -> join_first
    join_first -> second
    second -> [c, d] -> join_second
        c -> join_second
        d -> join_second
    join_second -> __end__
    ");
}

#[test]
fn a_fan_out_can_follow_on_the_fan_in_of_another() {
    let text = "
nodes: [{name: a}, {name: b}, {name: middle}, {name: c}, {name: d}, {name: join}]
edges:
  - {from: __start__, parallel: [a, b], fan_in: middle}
  - {from: middle, parallel: [c, d], fan_in: join}
";
    assert_snapshot!(plan(text), @"
    __start__ -> [a, b] -> middle
        a -> middle
        b -> middle
    middle -> [c, d] -> join
        c -> join
        d -> join
    join -> __end__
    ");
}

#[test]
fn merge_keys_and_aliases_are_part_of_the_file() {
    let text = "
x-defaults: &defaults {language: lua, run: return 1}
nodes:
  - {<<: *defaults, name: a}
  - {<<: *defaults, name: b, run: return nil}
edges: &edges
  - {from: a, to: b}
";
    assert_snapshot!(plan(text), @"
    __start__ -> a
    a -> b
    b -> __end__
    ");
}

//! Each branch runs on an instance of its own; the main instance lasts for the run.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use moonfork::workflow::{RunResult, RunSettings, Workflow};
use moonfork::{Pool, Role};
use serde_json::{Map, Value, json};

use crate::common;

#[track_caller]
fn run_on(pool: &Pool, text: &str) -> RunResult {
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    workflow
        .run(pool, Map::new(), &RunSettings::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn run(text: &str) -> RunResult {
    run_on(common::pool(), text)
}

/// Leaves something in every place of a virtual machine that a script can write to.
const POLLUTE: &str = r"
      leaked = 'global'
      function leaked_function() return leaked end
      leaked_table = {1, 2, 3}
      local hidden = 'upvalue'
      leaked_closure = function() return hidden end
      rawset(_G, 'leaked_raw', true)
      pcall(function() string.leaked = true end)
      pcall(function() table.leaked = true end)
      pcall(function() getmetatable('').__index = function() return 'patched' end end)
";

/// Lists what is left of that.
const TRACES: &str = r"
      local traces = json.array({})
      for name in pairs(_G) do
        if name:find('^leaked') then traces[#traces + 1] = name end
      end
      if string.leaked or table.leaked or ('x').leaked then traces[#traces + 1] = 'library' end
      if ('x').nonsense ~= nil then traces[#traces + 1] = 'metatable' end
      return {traces = traces}
";

#[test]
fn what_a_branch_leaves_is_seen_by_no_other_branch_and_not_by_the_fan_in() {
    // One worker: the second branch starts when the first one's instance is gone, so that it
    // would get the same slot. Two: both at once.
    for workers in [1, 2] {
        let outcome = run(&format!(
            "
settings: {{parallel: {{max_workers: {workers}}}}}
nodes:
  - name: polluter
    run: |{POLLUTE}
  - name: bystander
    run: |{TRACES}
  - name: join
    run: |{TRACES}
edges:
  - {{from: __start__, parallel: [polluter, bystander], fan_in: join}}
"
        ));
        let results = &outcome.state["parallel_results"];
        assert_eq!(results[0]["success"], json!(true), "{results}");
        assert_eq!(results[1]["state"]["traces"], json!([]));
        assert_eq!(outcome.state["traces"], json!([]));
    }
}

#[test]
fn what_one_run_leaves_is_not_seen_by_the_next() {
    run(&format!(
        "nodes:\n  - name: polluter\n    run: |{POLLUTE}\n"
    ));
    let next = run(&format!("nodes:\n  - name: look\n    run: |{TRACES}\n"));
    assert_eq!(next.state["traces"], json!([]));
}

#[test]
fn branches_see_the_state_but_not_the_globals_from_before_the_fan_out() {
    let outcome = run("
initial_state: {initial_value: 42}
nodes:
  - name: before
    run: secret = 'of main'
  - name: a
    run: return {seen = state.initial_value, secret = secret == nil}
  - name: b
    run: return {seen = state.initial_value, secret = secret == nil}
  - name: join
edges:
  - {from: before, parallel: [a, b], fan_in: join}
");
    for result in outcome.state["parallel_results"].as_array().unwrap() {
        assert_eq!(result["state"]["seen"], json!(42));
        assert_eq!(result["state"]["secret"], json!(true));
    }
    // What branches returned is not merged into the state.
    assert_eq!(outcome.state.get("seen"), None);
}

#[test]
fn nodes_of_one_branch_share_globals() {
    let outcome = run("
nodes:
  - name: a1
    run: |
      count = 1
      function increase() count = count + 1 end
  - name: a2
    run: increase()
  - name: a3
    run: return {count = count}
  - name: b
    run: return {count = count == nil}
  - name: join
edges:
  - {from: __start__, parallel: [a1, b], fan_in: join}
  - {from: a1, to: a2}
  - {from: a2, to: a3}
");
    let results = &outcome.state["parallel_results"];
    assert_eq!(results[0]["state"]["count"], json!(2));
    assert_eq!(results[1]["state"]["count"], json!(true));
}

#[test]
fn globals_of_main_last_from_before_the_fan_out_to_after_it() {
    let outcome = run("
nodes:
  - name: before
    run: |
      kept = 'of main'
      local hidden = 1
      function counter() hidden = hidden + 1 return hidden end
  - name: a
    run: kept = 'of a branch'
  - name: b
    run: kept = 'of a branch'
  - name: join
    run: return {kept = kept, count = counter()}
  - name: after
    run: return {kept_after = kept, count_after = counter()}
edges:
  - {from: before, parallel: [a, b], fan_in: join}
");
    assert_eq!(outcome.state["kept"], json!("of main"));
    assert_eq!(outcome.state["kept_after"], json!("of main"));
    assert_eq!(outcome.state["count"], json!(2));
    assert_eq!(outcome.state["count_after"], json!(3));
}

const TWO_FAN_OUTS: &str = "
nodes:
  - {name: before, run: return 1}
  - {name: a, run: return 1}
  - {name: b1, run: return 1}
  - {name: b2, run: return 1}
  - {name: middle, run: return 1}
  - {name: c, run: return 1}
  - {name: d, run: error('on purpose')}
  - {name: join, run: return 1}
edges:
  - {from: before, parallel: [a, b1], fan_in: middle}
  - {from: b1, to: b2}
  - {from: middle, parallel: [c, d], fan_in: join}
";

#[test]
fn every_instance_of_a_run_is_another_store_and_main_is_one_throughout() {
    let report = run(TWO_FAN_OUTS).report;
    let ran: Vec<_> = report
        .instances
        .iter()
        .map(|instance| {
            let nodes = instance.nodes.iter().map(|node| &*node.node);
            (
                instance.role,
                instance.branch.as_deref(),
                nodes.collect::<Vec<_>>(),
            )
        })
        .collect();
    assert_eq!(
        ran,
        [
            (Role::Main, None, vec!["before", "middle", "join"]),
            (Role::Branch, Some("a"), vec!["a"]),
            (Role::Branch, Some("b1"), vec!["b1", "b2"]),
            (Role::Branch, Some("c"), vec!["c"]),
            (Role::Branch, Some("d"), vec!["d"]),
        ]
    );
    let ids: HashSet<_> = report
        .instances
        .iter()
        .map(|instance| instance.store_id)
        .collect();
    assert_eq!(ids.len(), report.instances.len());
}

#[test]
fn two_runs_share_no_instance_and_none_is_the_main_one_of_the_pool() {
    let pool = common::builder().build().expect("a pool");
    let main = pool.main().expect("this thread owns the pool");
    let first = run_on(&pool, TWO_FAN_OUTS).report;
    let second = run_on(&pool, TWO_FAN_OUTS).report;
    let mut ids: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|report| &report.instances)
        .map(|instance| instance.store_id)
        .collect();
    ids.push(main.store_id());
    let distinct: HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

#[test]
fn no_instance_of_a_run_outlives_it() {
    let pool = common::builder().build().expect("a pool");
    run_on(&pool, TWO_FAN_OUTS);
    assert_eq!(pool.live_count(), 0);
}

#[test]
fn the_entries_of_branches_carry_the_reports_of_their_instances() {
    let outcome = run(TWO_FAN_OUTS);
    let entries = outcome.state["parallel_results"].as_array().unwrap();
    let of_run = &outcome.report.instances[3..];
    for (entry, instance) in entries.iter().zip(of_run) {
        let instance: Value = serde_json::to_value(instance).expect("a report is plain data");
        assert_eq!(entry["report"], instance);
    }
}

#[test]
fn host_functions_that_a_branch_calls_are_refused_the_main_instance() {
    // The thread that calls the run owns the pool, and could have its main instance.
    let own: Arc<OnceLock<Pool>> = Arc::default();
    let asked = own.clone();
    let is_refused = move |(): ()| {
        let pool = asked.get().ok_or("no pool yet")?;
        Ok(pool.main().is_err_and(|error| error.is_wrong_thread()))
    };
    let pool = common::builder()
        .grants(moonfork::Grants::none().all_functions())
        .function("is_refused_main", is_refused)
        .build()
        .expect("a pool");
    own.set(pool.clone()).expect("it is set once");
    let outcome = run_on(
        &pool,
        "
settings: {parallel: {max_workers: 1}}
nodes:
  - {name: a, run: 'return {refused = is_refused_main()}'}
  - {name: join}
edges: [{from: __start__, parallel: [a], fan_in: join}]
",
    );
    let entry = &outcome.state["parallel_results"][0];
    assert_eq!(entry["state"]["refused"], json!(true), "{entry}");
}

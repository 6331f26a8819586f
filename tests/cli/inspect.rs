//! `moonfork inspect`, overlays, and `--dump-merged`.

use insta::assert_snapshot;
use serde_json::json;

use crate::command::{Folder, moonfork, run};

const SHOP: &str = r#"
name: shop
description: Looks at orders
nodes:
  - {name: fetch, run: return 1, fallback: give_up}
  - {name: price, run: return 1}
  - {name: stock, run: return 1, goto: [{if: 'state.n > "3"', to: order}]}
  - {name: order, uses: buy}
  - {name: sum, run: return 1, goto: [{if: not state.done, to: fetch}, {to: __end__}]}
  - {name: give_up, type: while_loop, condition: state.n < 3, max_iterations: 3, body: [{name: wait, run: return 1}]}
edges:
  - {from: fetch, parallel: [price, stock], fan_in: sum}
"#;

#[track_caller]
fn inspect(format: &str) -> String {
    let folder = Folder::new();
    let file = folder.file("w.yaml", SHOP);
    let ran = run(moonfork()
        .arg("inspect")
        .arg(&file)
        .args(["--format", format]));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    ran.stdout
}

#[test]
fn for_people() {
    assert_snapshot!(inspect("text"), @r#"
    shop
    Looks at orders
    nodes:
      fetch (lua, line 5)
      price (lua, line 6)
      stock (lua, line 7)
      order (call, line 8): buy
      sum (lua, line 9)
      give_up (while_loop, line 10): while state.n < 3, at most 3 times: wait
    plan:
      __start__ -> fetch
      fetch -> [price, stock] -> sum
          price -> sum
          stock -> order if state.n > "3"
          stock -> sum otherwise
          order -> sum
      fetch -> give_up on failure
      sum -> fetch if not state.done
      sum -> __end__
      give_up -> __end__
    "#);
}

#[test]
fn for_graphviz() {
    assert_snapshot!(inspect("dot"), @r#"
    digraph "shop" {
      node [shape=box];
      "__start__" [shape=circle, label=""];
      "__end__" [shape=doublecircle, label=""];
      "fetch" [shape=box];
      "price" [shape=box];
      "stock" [shape=box];
      "order" [shape=box];
      "sum" [shape=box];
      "give_up" [shape=ellipse];
      "__start__" -> "fetch";
      "fetch" -> "price" [style=dashed];
      "fetch" -> "stock" [style=dashed];
      "fetch" -> "give_up" [label="on failure", style=dotted];
      "stock" -> "order" [label="state.n > \"3\""];
      "sum" -> "fetch" [label="not state.done"];
      "sum" -> "__end__";
      "give_up" -> "__end__";
      "price" -> "sum" [style=dashed];
      "stock" -> "sum" [style=dashed];
      "order" -> "sum" [style=dashed];
    }
    "#);
}

#[test]
fn for_mermaid() {
    assert_snapshot!(inspect("mermaid"), @r#"
    flowchart TD
      start((start))
      finish((end))
      n0["fetch"]
      n1["price"]
      n2["stock"]
      n3["order"]
      n4["sum"]
      n5["give_up"]
      start --> n0
      n0 -.-> n1
      n0 -.-> n2
      n0 -.->|"on failure"| n5
      n2 -->|"state.n #gt; #quot;3#quot;"| n3
      n4 -->|"not state.done"| n0
      n4 --> finish
      n5 --> finish
      n1 -.-> n4
      n2 -.-> n4
      n3 -.-> n4
    "#);
}

#[test]
fn for_programs() {
    let outline: serde_json::Value = serde_json::from_str(&inspect("json")).expect("it is JSON");
    assert_eq!(outline["name"], "shop");
    assert_eq!(outline["nodes"].as_array().unwrap().len(), 6);
    let ways = outline["ways"].as_array().unwrap();
    assert!(ways.contains(&json!({
        "from": "stock", "to": "order", "kind": "way", "condition": "state.n > \"3\"",
    })));
    assert!(ways.contains(&json!({
        "from": "order", "to": "sum", "kind": "fan_in", "condition": null,
    })));
}

const BASE: &str = "
name: base
initial_state: {a: 1, b: {c: 1, d: 2}}
nodes:
  - {name: one, run: 'return {ran = \"one\"}', goto: [{if: state.x, to: two}, {to: __end__}]}
  - {name: two, run: 'return {ran = \"two\"}'}
  - {name: three}
edges:
  - {from: two, to: three}
  - {from: three, to: __end__}
";

const OVERLAY: &str = "
name: changed
initial_state: {b: {c: 5}, e: [1]}
nodes:
  - {name: one, goto: [{if: state.y, to: two}]}
  - {name: three, __delete__: true}
  - {name: four, run: 'return {ran = \"four\"}'}
edges:
  - {from: two, to: three, __delete__: true}
  - {from: three, to: __end__, __delete__: true}
  - {from: two, to: four}
";

#[test]
fn overlays_change_what_they_name() {
    let folder = Folder::new();
    let (base, overlay) = (
        folder.file("base.yaml", BASE),
        folder.file("over.yaml", OVERLAY),
    );
    let dumped = run(moonfork()
        .args(["run", "--dump-merged", "-f"])
        .arg(&overlay)
        .arg(&base));
    assert_eq!(dumped.code, Some(0), "{dumped:?}");
    assert_snapshot!(dumped.stdout, @r#"
    name: changed
    initial_state:
      a: 1
      b:
        c: 5
        d: 2
      e:
      - 1
    nodes:
    - name: one
      run: return {ran = "one"}
      goto:
      - if: state.y
        to: two
      - to: __end__
    - name: two
      run: return {ran = "two"}
    - name: four
      run: return {ran = "four"}
    edges:
    - from: two
      to: four
    "#);

    let run_with = |input: &str| {
        let ran = run(moonfork()
            .arg("run")
            .arg(&base)
            .arg("-f")
            .arg(&overlay)
            .args(["-i", input]));
        ran.json()["ran"].clone()
    };
    assert_eq!(run_with("{}"), "one");
    assert_eq!(run_with(r#"{"y": true}"#), "four");
    // What was dumped is a workflow like any other.
    let merged = folder.file("merged.yaml", dumped.stdout);
    let ran = run(moonfork()
        .arg("run")
        .arg(merged)
        .args(["-i", r#"{"y": true}"#]));
    assert_eq!(ran.json()["ran"], "four");
}

#[test]
fn a_later_overlay_changes_an_earlier_one() {
    let folder = Folder::new();
    let base = folder.file("base.yaml", "nodes: [{name: a, run: return 1}]\n");
    let first = folder.file("1.yaml", "nodes: [{name: a, run: return 2}]\n");
    let second = folder.file("2.yaml", "nodes: [{name: a, run: return 3}]\n");
    let ran = run(moonfork()
        .arg("run")
        .arg(&base)
        .arg("-f")
        .arg(first)
        .arg("-f")
        .arg(second));
    assert_eq!(ran.json(), json!({"result": 3}));
}

#[test]
fn a_mistake_in_an_overlay_has_its_place_there() {
    let folder = Folder::new();
    let base = folder.file("base.yaml", "nodes: [{name: a}]\n");
    let overlay = folder.file(
        "over.yaml",
        "nodes:\n  - {name: a, goto: nowhere}\n  - {name: b, __delete__: true}\n",
    );
    let ran = run(moonfork().arg("validate").arg(&base).arg("-f").arg(overlay));
    ran.assert_failed(
        1,
        &[
            "over.yaml:2:21: error [GOTO_UNDEFINED]: ",
            "over.yaml:3:5: warning [INVALID_OVERLAY]: ",
        ],
    );
}

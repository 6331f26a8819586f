//! What is made of a file, of a condition or of a template grows with what came in, and not faster.
//!
//! Counted are the bytes that are allocated, in all: where nothing is made, nothing takes long
//! either. A process of its own, since the allocator is that of the process.

#![allow(unsafe_code, reason = "an allocator can't be had without")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write as _;

use moonfork::diagnostics::LoadError;
use moonfork::workflow::{RunError, RunSettings, Source, Workflow};
use moonfork::{Grants, Pool};
use rstest::rstest;
use serde_json::{Map, Value, json};

/// The system's allocator, which counts what it is asked for.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<u64> = const { Cell::new(0) };
}

fn count(bytes: u64) {
    // A thread that is about to end has no counter any more, and nobody asks for it.
    let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + bytes));
}

// SAFETY: all of it is the system's own; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as u64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as u64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that `work` allocated, on this thread: other tests run meanwhile.
fn allocated<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATED.get();
    let result = work();
    (ALLOCATED.get() - before, result)
}

const MIB: u64 = 1 << 20;

fn load(text: &str) -> Result<Workflow, LoadError> {
    Workflow::parse(text, "w.yaml")
}

/// Everything that can be asked of a file before it runs.
fn look(text: &str) -> usize {
    match load(text) {
        Ok(workflow) => {
            let outline = workflow.outline();
            workflow.plan().to_string().len() + outline.ways.len()
        }
        Err(error) => error.to_string().len(),
    }
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, index| {
        let _ = writeln!(text, "{}", line(index));
        text
    })
}

/// A chain inside of the middle of a chain, and so on.
fn chains(depth: usize) -> String {
    let mut text = "state.n".to_owned();
    for _ in 0..depth {
        text = format!("0<({text})<2");
    }
    format!("nodes:\n  - {{name: a, goto: [{{if: '{text}', to: __end__}}]}}\n")
}

fn long_keys(count: usize) -> String {
    let keys = lines(count, |n| format!("  key{n}: {n}"));
    format!("initial_state:\n{keys}nodes: [{{name: a}}]\n")
}

fn nodes_in_a_row(count: usize) -> String {
    format!(
        "nodes:\n{}",
        lines(count, |n| format!("  - {{name: n{n}}}"))
    )
}

/// All lead on, or back to the first.
fn ways_back(count: usize) -> String {
    let nodes = lines(count, |n| {
        format!("  - {{name: n{n}, goto: [{{if: state.x, to: n0}}]}}")
    });
    format!("settings: {{allow_cycles: false}}\nnodes:\n{nodes}")
}

/// Branches that go on together.
fn shared_tail(count: usize) -> String {
    let branches = lines(count, |n| format!("  - {{name: b{n}, goto: t0}}"));
    let tail = lines(count, |n| format!("  - {{name: t{n}, goto: t{}}}", n + 1));
    let parallel: Vec<_> = (0..count).map(|n| format!("b{n}")).collect();
    format!(
        "nodes:\n{branches}{tail}  - {{name: t{count}}}\nedges:\n  - {{from: __start__, parallel: [{}]}}\n",
        parallel.join(", ")
    )
}

/// Fan-outs one after the other, whose fan-ins nobody names.
fn fan_outs_in_a_row(count: usize) -> String {
    let nodes = lines(count, |n| {
        format!("  - {{name: s{n}}}\n  - {{name: a{n}}}\n  - {{name: b{n}}}")
    });
    let edges = lines(count, |n| {
        let to = n + 1;
        format!(
            "  - {{from: s{n}, parallel: [a{n}, b{n}]}}\n  - {{from: a{n}, to: s{to}}}\n  \
             - {{from: b{n}, to: s{to}}}"
        )
    });
    format!("nodes:\n{nodes}  - {{name: s{count}}}\nedges:\n{edges}")
}

fn interrupts(count: usize) -> String {
    let names: Vec<_> = (0..count).map(|n| format!("n{n}")).collect();
    format!(
        "config: {{interrupt_before: [{}]}}\n{}",
        names.join(", "),
        nodes_in_a_row(count)
    )
}

fn unknown_keys(count: usize) -> String {
    format!(
        "nodes: [{{name: a}}]\n{}",
        lines(count, |n| format!("x{n}y: 1"))
    )
}

/// Twice as long a file takes twice the bytes, or little more; a square would take four times as many.
#[rstest]
#[case::chains(chains, 20)]
#[case::long_keys(long_keys, 2000)]
#[case::nodes_in_a_row(nodes_in_a_row, 1000)]
#[case::ways_back(ways_back, 500)]
#[case::shared_tail(shared_tail, 300)]
#[case::interrupts(interrupts, 1000)]
#[case::unknown_keys(unknown_keys, 500)]
fn twice_the_file_takes_twice_the_bytes(#[case] file: fn(usize) -> String, #[case] size: usize) {
    // What is made once for the process is made before.
    look(&file(3));
    let [small, large] = [size, 2 * size].map(|size| {
        let text = file(size);
        let (bytes, _) = allocated(|| look(&text));
        (text.len() as u64, bytes)
    });
    println!(
        "{} bytes: {}; {} bytes: {}",
        small.0, small.1, large.0, large.1
    );
    assert!(
        large.1 < 2 * MIB + 600 * large.0,
        "{} for {}",
        large.1,
        large.0
    );
    assert!(
        large.1 < small.1 * 14 / 5,
        "{} bytes for a file of {}, {} for one of {}",
        small.1,
        small.0,
        large.1,
        large.0
    );
}

/// Sizes that grow with the square of the file, or faster, end in a refusal.
#[test]
fn what_grows_faster_ends_in_a_refusal() {
    let text = fan_outs_in_a_row(300);
    let (bytes, result) = allocated(|| load(&text).map(drop));
    assert!(result.is_ok());
    assert!(bytes < 500 * MIB, "{bytes}");
    let text = fan_outs_in_a_row(3000);
    let (bytes, result) = allocated(|| load(&text).map(drop));
    let error = result.expect_err("three thousand fan-outs, each before all those after it");
    assert!(error.to_string().contains("TOO_MANY_WAYS"), "{error}");
    assert!(bytes < 2000 * MIB, "{bytes}");
}

#[test]
fn aliases_count_bytes() {
    let text = |aliases: usize| {
        format!(
            "initial_state:\n  text: &a {}\n  list: [{}]\nnodes: [{{name: a}}]\n",
            "x".repeat(1 << 20),
            vec!["*a"; aliases].join(", ")
        )
    };
    let few = text(3);
    let (bytes, result) = allocated(|| load(&few).map(drop));
    assert!(result.is_ok());
    assert!(bytes < 40 * MIB, "{bytes}");
    let many = text(400);
    let (bytes, result) = allocated(|| load(&many).map(drop));
    let error = result.expect_err("400 MB").to_string();
    assert!(
        error.contains("anchors and aliases stand for more than 8 MiB"),
        "{error}"
    );
    assert!(bytes < 60 * MIB, "{bytes}");
}

#[test]
fn anchors_inside_of_anchors_count_bytes() {
    let (mut open, mut close) = (String::new(), String::new());
    for depth in 0..90 {
        let _ = write!(open, "&a{depth} [");
        close.push(']');
    }
    let text = |size: usize| {
        let text = "x".repeat(size);
        format!("initial_state:\n  deep: {open}{text}{close}\nnodes: [{{name: a}}]\n")
    };
    assert!(load(&text(1 << 10)).is_ok());
    let large = text(1 << 20);
    let (bytes, result) = allocated(|| load(&large).map(drop));
    assert!(result.is_err());
    assert!(bytes < 60 * MIB, "{bytes}");
}

#[test]
fn an_overlay_is_looked_up_and_not_searched_for() {
    let [small, large] = [500, 1000].map(|count| {
        let base = nodes_in_a_row(count);
        let overlay = format!(
            "nodes:\n{}",
            lines(count, |n| format!("  - {{name: n{n}, timeout: 5}}"))
        );
        let source = Source::text(base, "w.yaml").overlay_text(overlay, "o.yaml");
        allocated(|| source.load().map(|_| ()).expect("it is sound")).0
    });
    assert!(large < small * 14 / 5, "{small}, {large}");
}

/// Each file has ten nodes that use the next one: all of them together would be 10^8 nodes.
#[test]
fn a_subgraph_is_read_once_however_many_use_it() {
    let folder = tempfile::tempdir().unwrap();
    for depth in 0..8 {
        let nodes = lines(10, |n| {
            format!(
                "  - {{name: n{n}, type: dynamic_parallel, items: [1], subgraph: {}.yaml}}",
                depth + 1
            )
        });
        std::fs::write(
            folder.path().join(format!("{depth}.yaml")),
            format!("nodes:\n{nodes}"),
        )
        .unwrap();
    }
    std::fs::write(folder.path().join("8.yaml"), "nodes: [{name: a}]").unwrap();
    let (bytes, result) = allocated(|| Workflow::load(folder.path().join("0.yaml")).map(drop));
    assert!(result.is_ok());
    assert!(bytes < 8 * MIB, "{bytes}");
    std::fs::write(
        folder.path().join("8.yaml"),
        "nodes: [{name: a, type: dynamic_parallel, items: [1], subgraph: 3.yaml}]",
    )
    .unwrap();
    let (bytes, result) = allocated(|| Workflow::load(folder.path().join("0.yaml")).map(drop));
    let error = result.expect_err("it never ends").to_string();
    assert!(error.contains("is inside of itself"), "{error}");
    assert!(bytes < 8 * MIB, "{bytes}");
}

/// Twenty fan-outs inside of each other, each with two branches that both lead into the next one.
#[test]
fn a_plan_in_text_has_an_end() {
    let nodes = lines(20, |n| {
        format!("  - {{name: s{n}}}\n  - {{name: a{n}}}\n  - {{name: b{n}}}\n  - {{name: j{n}}}")
    });
    let edges = lines(20, |n| {
        let into = format!("s{}", n + 1);
        format!(
            "  - {{from: s{n}, parallel: [a{n}, b{n}], fan_in: j{n}}}\n  \
             - {{from: a{n}, to: {into}}}\n  - {{from: b{n}, to: {into}}}\n  \
             - {{from: j{}, to: j{n}}}",
            n + 1
        )
    });
    let text = format!("nodes:\n{nodes}  - {{name: s20}}\n  - {{name: j20}}\nedges:\n{edges}");
    let workflow = load(&text).unwrap_or_else(|error| panic!("{error}"));
    let (bytes, plan) = allocated(|| workflow.plan().to_string());
    assert!(plan.len() < 200_000, "{}", plan.len());
    assert!(plan.ends_with("(there is more)"));
    assert!(bytes < 20 * MIB, "{bytes}");
    let (bytes, outline) = allocated(|| workflow.outline());
    assert!(outline.complete);
    assert!(bytes < 20 * MIB, "{bytes}");
}

fn run(text: &str, input: Value) -> Result<Map<String, Value>, RunError> {
    run_on(common::pool(), text, input)
}

fn run_on(pool: &Pool, text: &str, input: Value) -> Result<Map<String, Value>, RunError> {
    let workflow = load(text).unwrap_or_else(|error| panic!("{error}"));
    let input = input.as_object().cloned().unwrap_or_default();
    let outcome = workflow.run(pool, input, &RunSettings::new())?;
    Ok(outcome.state)
}

/// What each of these would make is gigabytes, or takes for ever; the state is some kilobytes.
#[rstest]
#[case::repeated_lists("{{ [[[[[[1] * 1000] * 1000] * 1000] * 1000] * 1000] * 1000 }}")]
#[case::as_text("{{ ([[1] * 1000000] * 1000000) | string }}")]
#[case::as_json("{{ ([[1] * 1000000] * 1000000) | tojson }}")]
#[case::as_an_argument("{{ '{}'.format([[1] * 1000000] * 1000000) }}")]
#[case::replaced("{{ text | replace('a', text) | replace('a', text) | replace('a', text) }}")]
#[case::replaced_by_a_method("{{ text.replace('a', text).replace('a', text).replace('a', text) }}")]
#[case::joined("{{ text.join(text).join(text).join(text) }}")]
#[case::a_width("{{ '{:>9000000000}'.format(1) }}")]
#[case::a_width_again("{{ '%9000000000d' | format(1) }}")]
#[case::doubled_text(
    "{% set a = text %}{% set b = a ~ a ~ a ~ a %}{% set a = b ~ b ~ b ~ b %}{% set b = a ~ a ~ a ~ a %}{% set a = b ~ b ~ b ~ b %}{% set b = a ~ a ~ a ~ a %}{% set a = b ~ b ~ b ~ b ~ b %}{% set b = a ~ a ~ a ~ a %}{{ b }}"
)]
#[case::doubled_lists(
    "{% set n = namespace(a=[1]) %}{% for i in range(64) %}{% set n.a = [n.a, n.a] %}{% endfor %}{{ n.a }}"
)]
#[case::added_lists(
    "{% set n = namespace(a=[1]) %}{% for i in range(64) %}{% set n.a = n.a + n.a %}{% endfor %}{{ n.a }}"
)]
#[case::nested_lists(
    "{% set n = namespace(a=[1]) %}{% for i in range(90000) %}{% set n.a = [n.a] %}{% endfor %}{{ n.a }}"
)]
#[case::doubled_by_a_macro(
    "{% macro m(x, n) %}{% if n %}{{ m([x, x], n - 1) }}{% else %}{{ x }}{% endif %}{% endmacro %}{{ m([1], 64) }}"
)]
#[case::written_in_a_loop("{% for i in range(100000) %}{{ text }}{% endfor %}")]
#[case::loops_in_loops(
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"
)]
#[case::looked_up_in_a_loop(
    "{% for i in range(100000) %}{% for j in list %}{% endfor %}{% endfor %}"
)]
fn a_template_makes_no_more_than_its_steps_pay_for(#[case] template: &str) {
    let text = format!(
        "nodes:\n  - {{name: a, uses: take, with: {{x: {}}}}}\n",
        json!(template)
    );
    let input = json!({"text": "a".repeat(1000), "list": vec![1; 1000]});
    let pool = common::builder()
        .function("take", |_: (Value,)| Ok(()))
        .grants(Grants::none().function("take"))
        .build()
        .unwrap();
    let (bytes, result) = allocated(|| run_on(&pool, &text, input));
    println!("{bytes}");
    let error = result.expect_err("far too much").to_string();
    assert!(
        error.contains("it takes more than 1000000 steps")
            || error.contains("nested more than 100 levels"),
        "{error}"
    );
    assert!(bytes < 400 * MIB, "{bytes}");
}

#[rstest]
#[case(
    "[[[[[1] * 1000] * 1000] * 1000] * 1000] * 1000 == [[[[[1] * 1000] * 1000] * 1000] * 1000] * 1000"
)]
#[case("[1] * 90000000 in [[1] * 90000000, 2]")]
#[case("0<(0<(0<(0<(0<(0<(0<(0<(0<(0<(0<(0<(0<(0<(n)<2)<2)<2)<2)<2)<2)<2)<2)<2)<2)<2)<2)<2)<2")]
fn a_condition_makes_no_more_than_its_steps_pay_for(#[case] condition: &str) {
    let text = format!(
        "nodes:\n  - {{name: a, goto: [{{if: {}, to: __end__}}]}}\n",
        json!(condition)
    );
    common::pool();
    let (bytes, result) = allocated(|| run(&text, json!({"n": 1})));
    assert!(result.is_ok());
    assert!(bytes < 100 * MIB, "{bytes}");
}

/// What a large state is asked for is converted once for an expression, and not each time.
#[test]
fn a_large_state_is_converted_once() {
    let text = "
nodes:
  - name: a
    goto:
      - {if: 'big[0] + big[1] + big[2] + big[3] + big[4] + big[5] + big[6] + big[7] > 99999999', to: __end__}
";
    let one = text.replace(
        " + big[1] + big[2] + big[3] + big[4] + big[5] + big[6] + big[7]",
        "",
    );
    let input = json!({"big": (0..300_000).collect::<Vec<_>>()});
    let _ = run(text, json!({}));
    let (eight, _) = allocated(|| run(text, input.clone()));
    let (one, _) = allocated(|| run(&one, input));
    assert!(
        eight < one + one / 2,
        "{one} for one look, {eight} for eight"
    );
}

/// Branches that change a number and look at a large list; a fan-in that looks at all that they
/// gave and keeps it as it is; and a node that finds it as it was.
const SHARED: &str = "
settings: {parallel: {max_workers: 2}}
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(state.count) | list }}'
    run: 'return {n = state.item + #state.rows}'
  - name: join
    run: |
      local all = 0
      for _, entry in ipairs(state.parallel_results) do
        assert(entry.success, entry.error)
        all = all + entry.state.n + #entry.state.rows + #entry.state.text
      end
      return {all = all, kept = state.parallel_results, parallel_results = null}
  - name: look
    run: |
      local again = 0
      for index, entry in ipairs(state.kept) do
        again = again + entry.state.n + #entry.state.rows + #entry.state.text
      end
      return {again = again, kept = null}
";

/// Bytes that a run of so many branches over a list of so many numbers allocates outside of branches,
/// and the most memory that the main instance had.
fn shared(pool: &Pool, workflow: &Workflow, branches: usize, rows: usize) -> (u64, u64) {
    let input = Map::from_iter([
        ("count".to_owned(), branches.into()),
        ("rows".to_owned(), (0..rows).collect::<Value>()),
        ("text".to_owned(), "x".repeat(rows).into()),
    ]);
    let expected = branches * (branches - 1) / 2 + branches * 3 * rows;
    let (bytes, outcome) = allocated(|| workflow.run(pool, input, &RunSettings::new()));
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(outcome.state["all"], json!(expected));
    assert_eq!(outcome.state["again"], json!(expected));
    let mut main = outcome
        .report
        .instances
        .iter()
        .filter(|it| it.branch.is_none());
    let main = main.next().expect("the main instance");
    (bytes, main.peak_memory as u64)
}

/// What a branch left as it was takes no memory in its entry, neither here nor in the guest.
#[test]
fn an_entry_takes_what_its_branch_changed() {
    /// The list takes more than 300 KB in Lua, and the text 20 KB. An entry has eleven members, with a
    /// report.
    const EACH: u64 = 16_000;

    let workflow = load(SHARED).unwrap_or_else(|error| panic!("{error}"));
    let pool = common::builder().max_branches(2).build().expect("a pool");
    // What is made once.
    shared(&pool, &workflow, 2, 10);
    let few = shared(&pool, &workflow, 20, 20_000);
    let many = shared(&pool, &workflow, 320, 20_000);
    let each = |few: u64, many: u64| many.saturating_sub(few) / 300;
    let (host, guest) = (each(few.0, many.0), each(few.1, many.1));
    println!("{few:?} for 20 branches, {many:?} for 320: {host} and {guest} bytes for each more");
    assert!(host < EACH && guest < EACH, "{host} and {guest} bytes");
}

/// One node after the other gets all entries, and what the first had of them is gone before the next
/// reads them: together, or with holes in between, they wouldn't fit.
#[test]
fn every_node_has_room_for_twelve_thousand_entries() {
    let workflow = load(SHARED).unwrap_or_else(|error| panic!("{error}"));
    let pool = common::builder().max_branches(2).build().expect("a pool");
    let (_, guest) = shared(&pool, &workflow, 12_000, 10);
    println!("{guest} bytes");
    assert!(guest < 52 * MIB, "{guest} bytes");
}

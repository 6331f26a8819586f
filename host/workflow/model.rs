//! What a workflow file says, typed: nothing resolved, nothing decided.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::expression::{Condition, Template};
use super::problem::Place;
use super::schema::Schema;

/// The name that stands for where a run begins, in edges.
pub(super) const START: &str = "__start__";
/// The name that stands for where a run, or a branch, ends.
pub(super) const END: &str = "__end__";

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A workflow file, or a subgraph.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    /// In the written order.
    pub(super) nodes: Vec<Node>,
    /// In the written order.
    pub(super) edges: Vec<Edge>,
    pub(super) initial_state: Map<String, Value>,
    pub(super) variables: Arc<Map<String, Value>>,
    pub(super) schema: Schema,
    pub(super) settings: Settings,
    pub(super) config: Config,
}

/// `settings`.
#[derive(Debug)]
pub(super) struct Settings {
    /// Node runs on one path.
    pub(super) max_iterations: usize,
    /// Whether nodes may lead back to themselves.
    pub(super) allow_cycles: bool,
    /// What nodes do that don't say it themselves.
    pub(super) on_error: Option<OnError>,
    pub(super) parallel: Parallel,
    pub(super) limits: LimitSettings,
    pub(super) capabilities: Option<Capabilities>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_iterations: 1000,
            allow_cycles: true,
            on_error: None,
            parallel: Parallel::default(),
            limits: LimitSettings::default(),
            capabilities: None,
        }
    }
}

/// `settings.parallel`.
#[derive(Debug, Default)]
pub(super) struct Parallel {
    pub(super) max_workers: Option<NonZeroUsize>,
    pub(super) merge: MergeStrategy,
    pub(super) fail_fast: bool,
    /// What a branch may take in all.
    pub(super) timeout: Option<Duration>,
}

/// What becomes of the states that branches end with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum MergeStrategy {
    /// They are in `parallel_results` and nowhere else.
    #[default]
    Isolated,
    /// Keys that a branch changed are taken over; those of a later branch win.
    LastWriteWins,
    /// The same, key by key in mappings of any depth.
    MergeDeep,
    /// The same, and two branches that changed one key to different values are an error.
    FailOnConflict,
}

/// `config`.
#[derive(Debug, Default)]
pub(super) struct Config {
    pub(super) interrupt_before: Vec<Spanned<String>>,
    pub(super) interrupt_after: Vec<Spanned<String>>,
    pub(super) checkpoint_dir: Option<String>,
    /// Whether a failed branch fails the run.
    pub(super) raise_exceptions: bool,
}

/// What may be used, where it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LimitSettings {
    pub(super) wall: Option<Duration>,
    pub(super) fuel: Option<u64>,
    pub(super) memory: Option<usize>,
    pub(super) output: Option<usize>,
    pub(super) host_calls: Option<u64>,
}

/// The names of what may be used; nothing else is granted then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub(super) names: Vec<Spanned<String>>,
}

impl PartialEq for Spanned<String> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Spanned<String> {}

/// An entry of `nodes`, a node of a loop's body, or a step.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: Spanned<Arc<str>>,
    pub(super) work: Work,
    /// In the written order.
    pub(super) goto: Vec<Rule>,
    /// Marked as the place where branches meet.
    pub(super) fan_in: bool,
    pub(super) interrupt_before: bool,
    pub(super) interrupt_after: bool,
    pub(super) policy: Policy,
}

/// What a node does.
#[derive(Debug)]
pub(super) enum Work {
    /// Nothing: a place to go by.
    Nothing,
    /// Lua source.
    Lua(Spanned<String>),
    /// A host function.
    Call(HostCall),
    /// One after the other.
    Steps(Vec<Node>),
    /// Over and over.
    Loop(WhileLoop),
    /// In parallel, for each of many values.
    Each(Box<Each>),
    /// A workflow of its own.
    Subgraph(Box<Subgraph>),
}

/// `uses`.
#[derive(Debug)]
pub(super) struct HostCall {
    pub(super) function: Spanned<String>,
    pub(super) with: Option<Template>,
    /// The key that its result goes under.
    pub(super) output: Option<String>,
}

/// `type: while_loop`.
#[derive(Debug)]
pub(super) struct WhileLoop {
    pub(super) condition: Spanned<Condition>,
    pub(super) max_iterations: usize,
    pub(super) body: Vec<Node>,
}

/// A node that fans out at run time.
#[derive(Debug)]
pub(super) struct Each {
    pub(super) items: Items,
    /// What runs for each of them.
    pub(super) body: Work,
    pub(super) max_concurrency: Option<Spanned<Template>>,
    pub(super) fail_fast: Option<bool>,
    pub(super) fan_in: Option<Spanned<String>>,
    /// A key that the results go under, besides `parallel_results`.
    pub(super) output: Option<String>,
}

/// The values that an [`Each`] runs for, and what they go by in the state.
#[derive(Debug)]
pub(super) enum Items {
    /// `type: dynamic_parallel`.
    Dynamic {
        items: Spanned<Template>,
        item_var: String,
        index_var: String,
    },
    /// `strategy: {matrix}`: every combination.
    Matrix(Vec<(String, Spanned<Template>)>),
    /// `parallel_each`.
    List(Spanned<Template>),
}

/// A workflow inside of another.
#[derive(Debug)]
pub(super) struct Subgraph {
    /// The file that it is in, if it isn't written out.
    pub(super) file: Option<Spanned<String>>,
    pub(super) model: Model,
    /// The state that it starts on, instead of a copy of that outside.
    pub(super) input: Option<Template>,
}

/// An entry of `goto`.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) place: Place,
    pub(super) condition: Option<Arc<Condition>>,
    pub(super) to: Spanned<String>,
}

/// What a node may use, and what happens when it fails.
#[derive(Debug, Default)]
pub(super) struct Policy {
    pub(super) retry: Option<Retry>,
    pub(super) fallback: Option<Spanned<String>>,
    pub(super) on_error: Option<OnError>,
    /// What one attempt may take.
    pub(super) timeout: Option<Duration>,
    pub(super) limits: LimitSettings,
    pub(super) capabilities: Option<Capabilities>,
}

/// `retry`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Retry {
    pub(super) max_retries: u32,
    pub(super) base_delay: Duration,
    pub(super) max_delay: Duration,
    pub(super) backoff_multiplier: f64,
    pub(super) jitter: bool,
    /// The kinds of errors that are worth it; all, if there are none.
    pub(super) only: Vec<String>,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            max_retries: 3,
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            backoff_multiplier: 2.0,
            jitter: true,
            only: Vec::new(),
        }
    }
}

/// `on_error`.
#[derive(Clone, Debug)]
pub(super) struct OnError {
    pub(super) mode: ErrorMode,
    pub(super) fallback: Option<Spanned<String>>,
    pub(super) capture_traceback: bool,
}

/// What follows on the last failure of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ErrorMode {
    /// The run, or the branch, fails.
    Raise,
    /// It goes on, with the error in the state.
    Graceful,
    /// It is tried again, and fails after that.
    Retry(Retry),
}

/// An entry of `edges`.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) place: Place,
    pub(super) from: Spanned<String>,
    pub(super) condition: Option<Arc<Condition>>,
    pub(super) way: Way,
}

/// Where an edge leads.
#[derive(Debug)]
pub(super) enum Way {
    /// To one node.
    To(Spanned<String>),
    /// To the first nodes of branches that run in parallel.
    Parallel {
        branches: Vec<Spanned<String>>,
        fan_in: Option<Spanned<String>>,
    },
    /// To the node that the text of the condition's value is the key of.
    Targets(Vec<(String, Spanned<String>)>),
}

impl Model {
    /// Whether `node` is one that the run stops before, or after.
    pub(super) fn interrupts(&self, node: &Node) -> (bool, bool) {
        let named =
            |list: &[Spanned<String>]| list.iter().any(|name| *name.value == *node.name.value);
        (
            node.interrupt_before || named(&self.config.interrupt_before),
            node.interrupt_after || named(&self.config.interrupt_after),
        )
    }
}

impl Node {
    /// Where a failure of the node is best looked for.
    pub(super) fn place(&self) -> Place {
        match &self.work {
            Work::Lua(code) => code.place,
            Work::Call(call) => call.function.place,
            _ => self.name.place,
        }
    }

    /// The node that follows on a failure, if one does.
    pub(super) fn fallback(&self) -> Option<&Spanned<String>> {
        let of_on_error = || self.policy.on_error.as_ref()?.fallback.as_ref();
        self.policy.fallback.as_ref().or_else(of_on_error)
    }
}

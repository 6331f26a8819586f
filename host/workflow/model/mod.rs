//! What a workflow file says, typed: nothing resolved, nothing decided.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::diagnostics::Place;
use crate::workflow::expression::{Condition, Template};
use crate::workflow::fingerprint;
use crate::workflow::schema::Schema;
use crate::workflow::selection::Output;

mod policy;
mod settings;
mod spanned;

pub(crate) use policy::{Capabilities, ErrorMode, OnError, Policy, Retry};
pub(crate) use settings::{
    Collect, Config, Merge, MergeStrategy, Parallel, Reducer, Reducers, Settings, Start, Together,
    Where,
};
pub(crate) use spanned::Spanned;

/// The name that stands for where a run begins, in edges.
pub(crate) const START: &str = "__start__";
/// The name that stands for where a run, or a branch, ends.
pub(crate) const END: &str = "__end__";

/// A workflow file, or a subgraph.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Model {
    pub(crate) name: Option<String>,
    #[serde(skip)]
    pub(crate) description: Option<String>,
    #[serde(skip)]
    pub(crate) version: Option<String>,
    /// In the written order.
    pub(crate) nodes: Vec<Node>,
    /// What is known of nodes that couldn't be read.
    #[serde(skip)]
    pub(crate) unread: Unread,
    /// In the written order.
    pub(crate) edges: Vec<Edge>,
    pub(crate) initial_state: Map<String, Value>,
    #[serde(serialize_with = "fingerprint::shared")]
    pub(crate) variables: Arc<Map<String, Value>>,
    pub(crate) schema: Schema,
    /// What runs before the first node, and what each instance begins with.
    pub(crate) prelude: Option<LuaText>,
    /// What nodes may `require`, by name.
    pub(crate) modules: BTreeMap<String, LuaText>,
    /// What of the final state is the result; all of it, where nothing is said. It changes nothing
    /// of what runs.
    #[serde(skip)]
    pub(crate) outputs: Option<Vec<Output>>,
    pub(crate) settings: Settings,
    pub(crate) config: Config,
}

/// Nodes that something is wrong with. They are there still, for those that lead to them.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    pub(crate) names: Vec<Spanned<Arc<str>>>,
    /// Whether the name of any of them is not known: then it may be any name.
    pub(crate) nameless: bool,
}

/// An entry of `nodes`, a node of a loop's body, or a step.
#[derive(Debug, Serialize)]
pub(crate) struct Node {
    #[serde(serialize_with = "name")]
    pub(crate) name: Spanned<Arc<str>>,
    #[serde(skip)]
    pub(crate) description: Option<String>,
    pub(crate) work: Work,
    /// In the written order.
    pub(crate) goto: Vec<Rule>,
    /// Marked as the place where branches meet.
    pub(crate) fan_in: bool,
    pub(crate) interrupt_before: bool,
    pub(crate) interrupt_after: bool,
    pub(crate) policy: Policy,
}

/// What a node does.
#[derive(Debug, Serialize)]
pub(crate) enum Work {
    /// Nothing: a place to go by.
    Nothing,
    /// Lua.
    Lua(LuaText),
    /// An expression.
    Expression(Expression),
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
#[derive(Debug, Serialize)]
pub(crate) struct HostCall {
    pub(crate) function: Spanned<String>,
    pub(crate) with: Option<Spanned<Template>>,
    /// Where the keys of `with` are, if it is a mapping.
    #[serde(skip)]
    pub(crate) arguments: Vec<Argument>,
    /// The key that its result goes under.
    pub(crate) output: Option<String>,
}

/// Lua source: written out in the workflow, or in a file of its own. Only its text counts when workflows
/// are compared.
#[derive(Clone, Debug)]
pub(crate) struct LuaText {
    /// Of a file: as it is there, which needn't be UTF-8.
    pub(crate) text: Arc<[u8]>,
    /// Where it begins: its source is the file that its lines are those of.
    pub(crate) place: Place,
    /// The line of that file that its first line is.
    pub(crate) first_line: usize,
    /// What stands behind it on its line, which YAML takes for a comment.
    pub(crate) comment: Option<Box<str>>,
    /// The name of the file that it is read from, where it isn't written out.
    pub(crate) file: Option<Spanned<String>>,
}

impl LuaText {
    /// What is to be read from a file.
    pub(crate) fn of_file(file: Spanned<String>) -> LuaText {
        LuaText {
            text: Arc::from(*b""),
            place: file.place,
            first_line: 1,
            comment: None,
            file: Some(file),
        }
    }
}

impl Serialize for LuaText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fingerprint::lua(&String::from_utf8_lossy(&self.text), serializer)
    }
}

/// Where a key of `with` is.
#[derive(Debug)]
pub(crate) struct Argument {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    /// Its value, as Lua, if it is text.
    pub(crate) text: Option<LuaText>,
}

/// `run: {type: expression}`.
#[derive(Debug, Serialize)]
pub(crate) struct Expression {
    pub(crate) value: Spanned<Template>,
    /// The key that its value goes under.
    pub(crate) output: String,
}

/// `type: while_loop`.
#[derive(Debug, Serialize)]
pub(crate) struct WhileLoop {
    pub(crate) condition: Spanned<Condition>,
    pub(crate) max_iterations: usize,
    pub(crate) body: Vec<Node>,
}

/// A node that fans out at run time.
#[derive(Debug, Serialize)]
pub(crate) struct Each {
    pub(crate) items: Items,
    /// What runs for each of them.
    pub(crate) body: Work,
    pub(crate) max_concurrency: Option<Spanned<Template>>,
    pub(crate) fail_fast: Option<bool>,
    /// What the branch of one value may take in all, in place of what the settings say.
    pub(crate) timeout: Option<Duration>,
    pub(crate) together: Together,
    pub(crate) fan_in: Option<Spanned<String>>,
    /// A key that the results go under, besides `parallel_results`.
    pub(crate) output: Option<String>,
}

/// The values that an [`Each`] runs for, and what they go by in the state.
#[derive(Debug, Serialize)]
pub(crate) enum Items {
    /// `type: dynamic_parallel`.
    Dynamic {
        items: Spanned<Template>,
        item_var: String,
        index_var: String,
    },
    /// `strategy: {matrix}`: every combination.
    Matrix(Matrix),
    /// `parallel_each`.
    List(Spanned<Template>),
}

/// Combinations of values.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Matrix {
    /// Keys, and the values that each may have.
    pub(crate) axes: Vec<(String, Spanned<Template>)>,
    /// Mappings: combinations that have these values are left out.
    pub(crate) exclude: Option<Spanned<Template>>,
    /// Mappings: what is added to combinations, or is one more.
    pub(crate) include: Option<Spanned<Template>>,
}

/// A workflow inside of another.
#[derive(Debug, Serialize)]
pub(crate) struct Subgraph {
    /// The file that it is in, if it isn't written out.
    #[serde(skip)]
    pub(crate) file: Option<Spanned<String>>,
    /// One for each file, however many nodes use it.
    #[serde(serialize_with = "fingerprint::shared")]
    pub(crate) model: Arc<Model>,
    /// The state that it starts on, instead of a copy of that outside.
    pub(crate) input: Option<Spanned<Template>>,
}

/// An entry of `goto`.
#[derive(Debug, Serialize)]
pub(crate) struct Rule {
    #[serde(skip)]
    pub(crate) place: Place,
    #[serde(serialize_with = "fingerprint::condition")]
    pub(crate) condition: Option<Arc<Condition>>,
    pub(crate) to: Spanned<String>,
}

/// An entry of `edges`.
#[derive(Debug, Serialize)]
pub(crate) struct Edge {
    #[serde(skip)]
    pub(crate) place: Place,
    pub(crate) from: Spanned<String>,
    #[serde(serialize_with = "fingerprint::condition")]
    pub(crate) condition: Option<Arc<Condition>>,
    pub(crate) way: Way,
}

/// Where an edge leads.
#[derive(Debug, Serialize)]
pub(crate) enum Way {
    /// To one node.
    To(Spanned<String>),
    /// To the first nodes of branches that run in parallel.
    Parallel {
        branches: Vec<Spanned<String>>,
        fan_in: Option<Spanned<String>>,
        together: Together,
    },
    /// To the node that the text of the condition's value is the key of.
    Targets(Vec<(String, Spanned<String>)>),
}

/// The nodes that a run stops at, by what the file says of them.
pub(crate) struct Interrupts<'m> {
    before: HashSet<&'m str>,
    after: HashSet<&'m str>,
}

impl Model {
    /// The nodes that a run stops at.
    pub(crate) fn interrupts(&self) -> Interrupts<'_> {
        fn names(list: &[Spanned<String>]) -> HashSet<&str> {
            list.iter().map(|name| name.value.as_str()).collect()
        }
        Interrupts {
            before: names(&self.config.interrupt_before),
            after: names(&self.config.interrupt_after),
        }
    }
}

impl Interrupts<'_> {
    /// Whether `node` is one that the run stops before, or after.
    pub(crate) fn of(&self, node: &Node) -> (bool, bool) {
        let name = &*node.name.value;
        (
            node.interrupt_before || self.before.contains(name),
            node.interrupt_after || self.after.contains(name),
        )
    }
}

impl Node {
    /// Where a failure of the node is best looked for.
    pub(crate) fn place(&self) -> Place {
        match &self.work {
            Work::Lua(code) => code.place,
            Work::Call(call) => call.function.place,
            Work::Expression(expression) => expression.value.place,
            _ => self.name.place,
        }
    }

    /// The node that follows on a failure, if one does.
    pub(crate) fn fallback(&self) -> Option<&Spanned<String>> {
        let of_on_error = || self.policy.on_error.as_ref()?.fallback.as_ref();
        self.policy.fallback.as_ref().or_else(of_on_error)
    }
}

/// Writes a name.
fn name<S: Serializer>(name: &Spanned<Arc<str>>, out: S) -> Result<S::Ok, S::Error> {
    str::serialize(&name.value, out)
}

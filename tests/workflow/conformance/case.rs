//! One file: what it expects, and whether that is what comes.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use moonfork::workflow::{
    Event, EventKind, Moment, RunError, RunReport, RunResult, RunSettings, Workflow,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{functions, matching};

/// What is to come of a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expected {
    input: Map<String, Value>,
    state: Option<Map<String, Value>>,
    has: Option<Value>,
    error: Option<String>,
    error_type: Option<String>,
    problems: Option<Vec<String>>,
    warnings: Vec<String>,
    plan: Option<String>,
    nodes: Option<Vec<String>>,
    instances: Option<Vec<String>>,
    events: Vec<String>,
    output: Option<Vec<String>>,
    interrupts: Vec<Stop>,
    globals: bool,
    raw: bool,
    metered: bool,
    slots: Option<u32>,
}

/// A node that the run stops at.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stop {
    before: Option<String>,
    after: Option<String>,
    state: Map<String, Value>,
    input: Map<String, Value>,
}

pub(crate) struct Case {
    text: String,
    file: String,
    expected: Expected,
}

/// How a case is run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Run,
    Stream,
    /// Stopped after every node of the main path, and resumed each time.
    Resume,
    /// With branches in other processes.
    Workers,
    /// With branches in other processes, by way of a server of NATS.
    Queue,
}

impl Case {
    pub(crate) fn load(path: &Path) -> Case {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).expect("the file can be read");
        let yaml: serde_yaml::Value =
            serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let case = yaml
            .get("x-case")
            .unwrap_or_else(|| panic!("{file}: no x-case"));
        let expected = serde_yaml::from_value(case.clone())
            .unwrap_or_else(|error| panic!("{file}: x-case: {error}"));
        Case {
            text,
            file,
            expected,
        }
    }

    /// Checks everything that the case expects, in every way to run it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let expected = &self.expected;
        let workflow = match (Workflow::parse(&self.text, &self.file), &expected.problems) {
            (Ok(workflow), None) => Arc::new(workflow),
            (Err(error), Some(problems)) => return self.check_lines(&error.to_string(), problems),
            (Ok(_), Some(_)) => return Err("it should be refused".to_owned()),
            (Err(error), None) => return Err(format!("it is refused: {error}")),
        };
        let warnings: Vec<_> = workflow
            .warnings()
            .iter()
            .map(|it| it.to_string())
            .collect();
        self.check_lines(&warnings.join("\n"), &expected.warnings)?;
        if let Some(plan) = &expected.plan {
            let found = workflow.plan().to_string();
            if found != plan.trim_end() {
                return Err(format!("the plan is\n{found}\nnot\n{plan}"));
            }
        }
        let modes = [
            Mode::Run,
            Mode::Stream,
            Mode::Resume,
            Mode::Workers,
            Mode::Queue,
        ];
        for mode in modes {
            if mode == Mode::Resume && !self.can_be_resumed_anywhere() {
                continue;
            }
            self.check_run(&workflow, mode)
                .map_err(|why| format!("{mode:?}: {why}"))?;
        }
        Ok(())
    }

    /// Compares with problems as they are displayed, the name of the file left out.
    fn check_lines(&self, found: &str, expected: &[String]) -> Result<(), String> {
        let prefix = format!("{}:", self.file);
        let found: Vec<_> = found
            .lines()
            .map(|line| line.strip_prefix(&prefix).unwrap_or(line).trim())
            .collect();
        match found == *expected {
            true => Ok(()),
            false => Err(format!("found {found:#?}, not {expected:#?}")),
        }
    }

    /// Resuming starts a new main instance, and what a run does in all is spread over several.
    fn can_be_resumed_anywhere(&self) -> bool {
        let expected = &self.expected;
        !expected.globals
            && expected.error.is_none()
            && expected.events.is_empty()
            && expected.nodes.is_none()
            && expected.instances.is_none()
            && expected.output.is_none()
            && expected.interrupts.is_empty()
    }

    fn check_run(&self, workflow: &Arc<Workflow>, mode: Mode) -> Result<(), String> {
        let expected = &self.expected;
        let pool = match mode {
            // What is granted here has to be there as well.
            Mode::Workers | Mode::Queue => crate::workers::pool(expected.metered),
            _ => functions::pool(expected.slots.unwrap_or(16), expected.metered),
        };
        let events = Arc::new(Mutex::new(Vec::new()));
        let mut options = RunSettings::new().on_event({
            let events = Arc::clone(&events);
            move |event| events.lock().unwrap().push(event.clone())
        });
        if mode == Mode::Workers {
            options = options.workers(&crate::workers::workers(2, expected.metered));
        }
        if mode == Mode::Queue {
            // A line says so where there is no program for a server.
            let Some(workers) = crate::queue::shared(expected.metered) else {
                return Ok(());
            };
            options = options.workers(&workers);
        }
        if mode == Mode::Resume {
            let outline = workflow.outline();
            let on_main = outline.nodes.iter().filter(|node| !node.in_branch);
            options = options.interrupt_after(on_main.map(|node| node.name.clone()));
        }
        let begin = |checkpoint, input: Map<String, Value>| match (mode, checkpoint) {
            (Mode::Stream, None) => {
                let mut run = workflow.stream(&pool, input, &options).expect("a thread");
                let streamed: Vec<Event> = run.by_ref().collect();
                (run.finish(), streamed)
            }
            (Mode::Stream, Some(checkpoint)) => {
                let run = workflow.stream_resumed(&pool, checkpoint, input, &options);
                let mut run = run.expect("a thread");
                let streamed: Vec<Event> = run.by_ref().collect();
                (run.finish(), streamed)
            }
            (_, None) => (workflow.run(&pool, input, &options), Vec::new()),
            (_, Some(checkpoint)) => {
                let result = workflow.resume(&pool, checkpoint, input, &options);
                (result, Vec::new())
            }
        };
        let (mut result, mut streamed) = begin(None, expected.input.clone());
        let mut stops = expected.interrupts.iter();
        while let Ok(outcome) = &result
            && let Some(interrupt) = &outcome.interrupt
        {
            let input = match mode {
                Mode::Resume => Map::new(),
                _ => {
                    let stop = stops.next().ok_or("it stops once more than it should")?;
                    stop.check(outcome, &interrupt.node, interrupt.when)?;
                    stop.input.clone()
                }
            };
            // Through text, as from a file.
            let text = serde_json::to_string(&interrupt.checkpoint).expect("it is plain data");
            let checkpoint = serde_json::from_str(&text).expect("it can be read back");
            let next = begin(Some(checkpoint), input);
            result = next.0;
            streamed.extend(next.1);
        }
        if stops.next().is_some() {
            return Err("it stops once less than it should".to_owned());
        }
        if pool.live_count() > 0 {
            return Err("an instance outlives the run".to_owned());
        }
        let events = std::mem::take(&mut *events.lock().unwrap());
        if mode == Mode::Stream {
            // Branches may tell the listener at once, and the stream in another order.
            let (mut streamed, mut told) = (describe(&streamed), describe(&events));
            streamed.sort();
            told.sort();
            if streamed != told {
                return Err("the stream has other events than the listener".to_owned());
            }
        }
        matching::in_order(&expected.events, &describe(&events))?;
        self.check_result(&result)?;
        match &result {
            Ok(outcome) => self.check_report(&outcome.report, mode),
            Err(error) => self.check_report(error.report(), mode),
        }
    }

    fn check_result(&self, result: &Result<RunResult, RunError>) -> Result<(), String> {
        let expected = &self.expected;
        match (result, &expected.error) {
            (Err(error), Some(part)) => {
                let message = error.to_string();
                if !message.contains(part.as_str()) {
                    return Err(format!("the error is {message:?}"));
                }
                let kind = error.failure().error_type;
                match &expected.error_type {
                    Some(expected) if expected != kind => Err(format!("its type is {kind}")),
                    _ => Ok(()),
                }
            }
            (Ok(outcome), Some(_)) => Err(format!("it doesn't fail: {:?}", outcome.state)),
            (Err(error), None) => Err(format!("it fails: {error}")),
            (Ok(outcome), None) => {
                let state = Value::Object(outcome.state.clone());
                if let Some(expected) = &expected.state {
                    let expected = Value::Object(expected.clone());
                    let state = matching::stable(state.clone());
                    if state != expected {
                        return Err(format!("the state is {state}, not {expected}"));
                    }
                }
                match &expected.has {
                    Some(has) => matching::has("state", has, &state),
                    None if expected.state.is_none() => Err("nothing is expected".to_owned()),
                    None => Ok(()),
                }
            }
        }
    }

    fn check_report(&self, report: &RunReport, mode: Mode) -> Result<(), String> {
        let instances = report.instances.iter();
        let ids: HashSet<_> = instances.map(|it| (&it.worker, it.store_id)).collect();
        if ids.len() != report.instances.len() {
            return Err("two instances are the same store".to_owned());
        }
        if mode == Mode::Resume {
            return Ok(());
        }
        let expected = &self.expected;
        let main = report.instances.iter().filter(|it| it.branch.is_none());
        let nodes: Vec<_> = main.flat_map(|it| &it.nodes).collect();
        if let Some(expected) = &expected.nodes {
            let found: Vec<_> = nodes.iter().map(|it| it.node.as_str()).collect();
            if found != *expected {
                return Err(format!("the nodes on main are {found:?}"));
            }
        }
        if let Some(expected) = &expected.output {
            let found: Vec<_> = nodes.iter().map(|it| it.output.as_str()).collect();
            if found != *expected {
                return Err(format!("the output is {found:?}"));
            }
        }
        if let Some(expected) = &expected.instances {
            let roles = report.instances.iter().map(|it| it.role);
            let found: Vec<_> = roles.map(|it| format!("{it:?}").to_lowercase()).collect();
            if found != *expected {
                return Err(format!("the instances are {found:?}"));
            }
        }
        Ok(())
    }
}

impl Stop {
    fn check(&self, outcome: &RunResult, node: &str, when: Moment) -> Result<(), String> {
        let expected = match when {
            Moment::Before => &self.before,
            Moment::After => &self.after,
        };
        if expected.as_deref() != Some(node) {
            return Err(format!("it stops {when} {node}, not where {self:?} says"));
        }
        match outcome.state == self.state {
            true => Ok(()),
            false => Err(format!("it stops with {:?}", outcome.state)),
        }
    }
}

/// Events as the cases name them: the type, and what it is about.
fn describe(events: &[Event]) -> Vec<String> {
    let describe = |event: &Event| match &event.kind {
        EventKind::Start { .. } => "start".to_owned(),
        EventKind::Resume { .. } => "resume".to_owned(),
        EventKind::NodeStart { node, .. } => format!("node_start {node}"),
        EventKind::NodeEnd { node, .. } => format!("node_end {node}"),
        EventKind::Retry { attempt, .. } => format!("retry {attempt}"),
        EventKind::LoopPass { pass, .. } => format!("loop_pass {pass}"),
        EventKind::FanOut { .. } => "fan_out".to_owned(),
        EventKind::BranchStart { .. } => {
            format!("branch_start {}", event.branch.as_deref().unwrap_or("?"))
        }
        EventKind::BranchEnd { .. } => {
            format!("branch_end {}", event.branch.as_deref().unwrap_or("?"))
        }
        EventKind::InstanceReplaced { .. } => "instance_replaced".to_owned(),
        EventKind::ConditionFailed { .. } => "condition_failed".to_owned(),
        EventKind::Interrupt { node, .. } => format!("interrupt {node}"),
        EventKind::Error { .. } => "error".to_owned(),
        EventKind::Finish { .. } => "finish".to_owned(),
        other => format!("{other:?}"),
    };
    events.iter().map(describe).collect()
}

//! Running a node: attempts, what it does, and what follows on its failure.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::workflow::event::EventKind;
use crate::workflow::execute::path::Path;
use crate::workflow::execute::sharing::Returned;
use crate::workflow::execute::terms::Terms;
use crate::workflow::execute::trouble::Trouble;
use crate::workflow::execute::wait::wait;
use crate::workflow::json::Json;
use crate::workflow::model::{ErrorMode, HostCall, Node, OnError, Retry, WhileLoop, Work};
use crate::workflow::plan::NodeId;
use crate::workflow::report::{Failure, RunOutcome, chunk_name, ms};
use crate::workflow::state::State;

/// The key under which a node that fails gracefully leaves its error.
const ERROR: &str = "__error__";

impl Path<'_> {
    /// Runs a node, as often as it says, and applies what it gives. `id` is that of an entry of
    /// `nodes`; what is inside of another node has none.
    ///
    /// # Errors
    /// What the last attempt failed with; the state is unchanged then.
    pub(crate) fn run_node(
        &mut self,
        id: Option<NodeId>,
        node: &Node,
        state: &mut State,
        around: &Terms,
    ) -> Result<(), Trouble> {
        let on_error = node.policy.on_error.as_ref();
        let on_error = on_error.or(self.flow.model.settings.on_error.as_ref());
        let retry = retry(node, on_error);
        let name = &node.name.value;
        let mut attempt = 1;
        let calls = self.track.keys.at();
        loop {
            self.track.keys.again(calls);
            let result = self.attempt(id, node, attempt, state, around);
            let Err(trouble) = result else {
                return Ok(());
            };
            let trouble = trouble.at(name, node.place());
            let worth_it = retry.as_ref().filter(|retry| {
                attempt <= retry.max_retries
                    && (retry.only.is_empty()
                        || retry.only.iter().any(|it| it == trouble.failure.error_type))
            });
            if let Some(retry) = worth_it
                && !self.is_over()
                && !around.is_over()
            {
                let delay = delay(retry, attempt);
                attempt += 1;
                self.retries = self.retries.saturating_add(1);
                self.run
                    .events
                    .emit(self.track.branch.as_ref(), || EventKind::Retry {
                        node: name.to_string(),
                        attempt,
                        delay_ms: ms(delay),
                        error: (*trouble.failure).clone(),
                    });
                wait(delay, around.deadline, &around.cancel);
                self.check().map_err(|over| over.at(name, node.place()))?;
                if !around.is_over() {
                    continue;
                }
            }
            let graceful = on_error.filter(|on_error| {
                on_error.mode == ErrorMode::Graceful && node.fallback().is_none() && !self.is_over()
            });
            let Some(graceful) = graceful else {
                return Err(trouble);
            };
            state.set(
                ERROR,
                describe(node, graceful, &trouble.failure, attempt - 1),
            );
            return Ok(());
        }
    }

    fn attempt(
        &mut self,
        id: Option<NodeId>,
        node: &Node,
        attempt: u32,
        state: &mut State,
        around: &Terms,
    ) -> Result<(), Trouble> {
        let name = &node.name.value;
        let started = Instant::now();
        self.run
            .events
            .emit(self.track.branch.as_ref(), || EventKind::NodeStart {
                node: name.to_string(),
                attempt,
            });
        if attempt > 1 {
            self.track.note_attempt(name, attempt);
        }
        let terms = around.narrowed(&node.policy);
        let mut after = state.clone();
        let result = self
            .work(id, node, &node.work, &mut after, &terms)
            .map(|_| ());
        let error = result.as_ref().err().map(|trouble| &*trouble.failure);
        self.track.record(name, attempt, error, started);
        self.run
            .events
            .emit(self.track.branch.as_ref(), || EventKind::NodeEnd {
                node: name.to_string(),
                outcome: match error {
                    None => RunOutcome::Done,
                    Some(_) => RunOutcome::Failed,
                },
                error: error.cloned(),
                wall_ms: ms(started.elapsed()),
            });
        result?;
        *state = after;
        Ok(())
    }

    /// Does what a node does. The answer is what it returned, where there is one value to speak
    /// of.
    ///
    /// # Errors
    /// Whatever it fails with; the state may have been changed then.
    pub(crate) fn work(
        &mut self,
        id: Option<NodeId>,
        node: &Node,
        work: &Work,
        state: &mut State,
        terms: &Terms,
    ) -> Result<Option<Json>, Trouble> {
        let name = &node.name.value;
        match work {
            Work::Nothing => Ok(Some(Value::Null.into())),
            Work::Lua(code) => {
                let returned = self.track.eval(name, code, state, terms)?;
                self.update(name, state, returned.clone().into_update())?;
                Ok(Some(returned.into_json()))
            }
            Work::Call(call) => {
                let returned = Returned::from(self.call(node, call, state, terms)?);
                let update = match &call.output {
                    Some(key) => vec![(key.clone(), returned.clone().into_json())],
                    None => returned.clone().into_update(),
                };
                self.update(name, state, update)?;
                Ok(Some(returned.into_json()))
            }
            Work::Expression(expression) => {
                let scope = self.scope(state);
                let value = expression.value.value.fill(&scope).map_err(|why| {
                    let message = format!("{}: `value`: {why}", chunk_name(name));
                    Trouble::from(Failure::own("ExecutionError", message))
                })?;
                let value = Json::from(value);
                self.update(
                    name,
                    state,
                    vec![(expression.output.clone(), value.clone())],
                )?;
                Ok(Some(value))
            }
            Work::Steps(steps) => {
                for step in steps {
                    self.check()?;
                    self.run_node(None, step, state, terms)?;
                }
                Ok(None)
            }
            Work::Loop(repeated) => {
                self.repeat(node, repeated, state, terms)?;
                Ok(None)
            }
            Work::Each(each) if let Some(id) = id => {
                self.each(id, node, each, state, terms)?;
                Ok(None)
            }
            Work::Each(_) | Work::Subgraph(_) => {
                // Only entries of `nodes` fan out, and the only place for a subgraph is one of those, which
                // looks after it.
                let message = format!("{}: this can't run here", chunk_name(name));
                Err(Failure::own("ExecutionError", message).into())
            }
        }
    }

    fn update(
        &self,
        name: &str,
        state: &mut State,
        mut update: Vec<(String, Json)>,
    ) -> Result<(), Trouble> {
        self.flow
            .model
            .schema
            .check_update(&mut update)
            .map_err(|why| {
                let message = format!("{}: {why}", chunk_name(name));
                Trouble::from(Failure::own("SchemaError", message))
            })?;
        state.replace(update);
        Ok(())
    }

    fn call(
        &mut self,
        node: &Node,
        call: &HostCall,
        state: &State,
        terms: &Terms,
    ) -> Result<Value, Trouble> {
        let name = &node.name.value;
        let scope = self.scope(state);
        let with = call.with.as_ref().map(|with| with.value.fill(&scope));
        let args = match with.transpose() {
            // A mapping is one argument, a list as many as it has items.
            Ok(None) => json!([]),
            Ok(Some(Value::Array(args))) => Value::Array(args),
            Ok(Some(arg)) => json!([arg]),
            Err(why) => {
                let why = self.run.options.outside.mask(&why);
                let message = format!("{}: `with`: {why}", chunk_name(name));
                return Err(Failure::own("ExecutionError", message).into());
            }
        };
        self.track.call(name, &call.function.value, &args, terms)
    }

    fn repeat(
        &mut self,
        node: &Node,
        repeated: &WhileLoop,
        state: &mut State,
        terms: &Terms,
    ) -> Result<(), Trouble> {
        let name = &node.name.value;
        let condition = &repeated.condition.value;
        for pass in 1.. {
            let scope = self.scope(state);
            let holds = match condition.holds(&scope) {
                Ok(holds) => holds,
                Err(why) => {
                    self.condition_failed(name, condition.source(), &why)?;
                    false
                }
            };
            if !holds {
                break;
            }
            if pass > repeated.max_iterations {
                let most = repeated.max_iterations;
                let message = format!(
                    "{}: while_loop '{name}' exceeded max_iterations ({most})",
                    chunk_name(name)
                );
                return Err(Failure::own("LimitError", message).into());
            }
            self.run
                .events
                .emit(self.track.branch.as_ref(), || EventKind::LoopPass {
                    node: name.to_string(),
                    pass,
                });
            for step in &repeated.body {
                self.check()?;
                self.run_node(None, step, state, terms)?;
            }
        }
        Ok(())
    }
}

/// How often a node is tried again, if at all.
fn retry<'n>(node: &'n Node, on_error: Option<&'n OnError>) -> Option<Cow<'n, Retry>> {
    let of_mode = || match on_error.map(|it| &it.mode) {
        Some(ErrorMode::Retry(retry)) => Some(retry),
        _ => None,
    };
    node.policy
        .retry
        .as_ref()
        .or_else(of_mode)
        .map(Cow::Borrowed)
}

/// How long to wait before the attempt after this one.
fn delay(retry: &Retry, attempt: u32) -> Duration {
    let power = i32::try_from(attempt - 1).unwrap_or(i32::MAX);
    let factor = retry.backoff_multiplier.powi(power);
    let most = retry.max_delay.as_secs_f64();
    let delay = (retry.base_delay.as_secs_f64() * factor).min(most);
    // So that branches that failed together don't come back together.
    let jitter = match retry.jitter {
        true => 0.8 + 0.4 * fastrand::f64(),
        false => 1.0,
    };
    Duration::try_from_secs_f64((delay * jitter).min(most)).unwrap_or(retry.max_delay)
}

/// The error that a node leaves in the state.
fn describe(node: &Node, on_error: &OnError, failure: &Failure, retries: u32) -> Value {
    let action = match &node.work {
        Work::Call(call) => call.function.value.as_str(),
        Work::Lua(_) => "lua",
        _ => "node",
    };
    let traceback = failure.traceback.as_ref();
    json!({
        "type": failure.error_type,
        "message": failure.message,
        "node": &*node.name.value,
        "action": action,
        "timestamp": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        "retry_count": retries,
        "is_retryable": !matches!(failure.error_type, "SchemaError" | "DeniedError"),
        "traceback": traceback.filter(|_| on_error.capture_traceback),
        "details": failure.value.as_ref().unwrap_or(&json!({})),
    })
}

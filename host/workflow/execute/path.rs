//! One way through a workflow, node after node: the main path, or that of a branch.

use crate::workflow::event::{EventKind, Moment};
use crate::workflow::execute::checkpoint::Saver;
use crate::workflow::execute::context::Run;
use crate::workflow::execute::position::{At, Position};
use crate::workflow::execute::terms::Terms;
use crate::workflow::execute::track::Track;
use crate::workflow::execute::trouble::Trouble;
use crate::workflow::execute::workers::Running;
use crate::workflow::expression::Scope;
use crate::workflow::model::{Model, START};
use crate::workflow::plan::{Exits, Leads, Next, NodeId, Plan};
use crate::workflow::report::{Failure, InstanceReport, chunk_name};
use crate::workflow::state::State;

/// A workflow, or a subgraph, with its plan.
#[derive(Clone, Copy)]
pub(crate) struct Flow<'r> {
    pub(crate) model: &'r Model,
    pub(crate) plan: &'r Plan,
}

/// A path under way.
pub(crate) struct Path<'r> {
    pub(crate) run: &'r Run<'r>,
    pub(crate) flow: Flow<'r>,
    pub(crate) track: Track<'r>,
    pub(crate) terms: Terms,
    /// How many branches it is inside of.
    pub(crate) level: usize,
    /// The node that a branch leads to, and doesn't run.
    pub(crate) fan_in: Option<NodeId>,
    /// Its place among those that run at the same time; the main path needs none.
    pub(crate) running: Option<Running>,
    /// Where the main path notes how far it has come.
    pub(crate) saver: Option<Saver>,
    /// Nodes that ran.
    pub(crate) ran: u64,
    /// How often any of them was tried again.
    pub(crate) retries: u32,
    /// Instances of branches that started from here.
    pub(crate) instances: Vec<InstanceReport>,
}

/// How a path ended that didn't fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ended {
    /// At the end, or at the fan-in.
    Done,
    /// At a node that the run stops at.
    Interrupted(NodeId, Moment),
}

impl<'r> Path<'r> {
    /// Goes from `at` to where the path ends.
    ///
    /// # Errors
    /// If a node fails that nothing is to be done about, or the path is stopped.
    pub(crate) fn follow(&mut self, mut at: At, state: &mut State) -> Result<Ended, Trouble> {
        loop {
            self.check()?;
            at = match at {
                At::End => return Ok(Ended::Done),
                At::Node(id) if Some(id) == self.fan_in => return Ok(Ended::Done),
                At::Node(id) if self.stops(id, Moment::Before) => {
                    self.save(At::Resumed(id), state, Some((id, Moment::Before)))?;
                    return Ok(Ended::Interrupted(id, Moment::Before));
                }
                At::Node(id) | At::Resumed(id) => {
                    let next = self.step(id, state)?;
                    if next == At::After(id) && self.stops(id, Moment::After) {
                        self.save(next, state, Some((id, Moment::After)))?;
                        return Ok(Ended::Interrupted(id, Moment::After));
                    }
                    self.save(next, state, None)?;
                    next
                }
                At::Start => self.leave(None, state)?,
                At::After(id) => self.leave(Some(id), state)?,
            };
        }
    }

    /// Runs a node; the answer is where the path is then.
    fn step(&mut self, id: NodeId, state: &mut State) -> Result<At, Trouble> {
        self.ran = self.ran.saturating_add(1);
        let most = match self.run.options.max_iterations {
            Some(most) => most.get(),
            None => self.flow.model.settings.max_iterations,
        };
        self.track.keys.enter(self.ran);
        let node = &self.flow.model.nodes[id.0];
        if self.ran > most as u64 {
            let message = format!(
                "{}: max iterations ({most}) exceeded: a loop without end?",
                crate::workflow::report::chunk_name(&node.name.value)
            );
            let trouble = Trouble::from(Failure::own("LimitError", message));
            return Err(trouble.at(&node.name.value, node.name.place));
        }
        let terms = self.terms.clone();
        let Err(trouble) = self.run_node(Some(id), node, state, &terms) else {
            return Ok(At::After(id));
        };
        match self.flow.plan.exits(id).fallback {
            // What ends the path as a whole is nothing that another node could make good.
            Some(next) if !self.is_over() => {
                self.run
                    .events
                    .emit(self.track.branch.as_ref(), || EventKind::Fallback {
                        node: node.name.value.to_string(),
                        to: match next {
                            Next::Node(id) => self.flow.plan.name(id).to_owned(),
                            _ => crate::workflow::model::END.to_owned(),
                        },
                        error: (*trouble.failure).clone(),
                    });
                self.go(next, state)
            }
            _ => Err(trouble),
        }
    }

    /// Goes where the ways out of a node, or into the workflow, lead.
    fn leave(&mut self, from: Option<NodeId>, state: &mut State) -> Result<At, Trouble> {
        let plan = self.flow.plan;
        let exits = from.map_or(plan.start(), |id| plan.exits(id));
        let next = match self.choose(from, exits, state)? {
            Some(next) => next,
            None => match (exits.fan_in.filter(|_| self.fan_in.is_some()), self.fan_in) {
                (Some(fan_in), _) | (None, Some(fan_in)) => Next::Node(fan_in),
                (None, None) => plan.written_next(from),
            },
        };
        let at = self.go(next, state)?;
        if matches!(next, Next::FanOut(_) | Next::End) {
            self.save(at, state, None)?;
        }
        Ok(at)
    }

    fn go(&mut self, next: Next, state: &mut State) -> Result<At, Trouble> {
        match next {
            Next::Node(id) => Ok(At::Node(id)),
            Next::End => Ok(At::End),
            Next::FanOut(id) => {
                self.fan_out(id, state)?;
                Ok(At::Node(self.flow.plan.fan_out(id).fan_in))
            }
        }
    }

    /// What conditions and templates see.
    pub(crate) fn scope(&self, state: &State) -> Scope {
        Scope::new(state, &self.flow.model.variables).with_outside(&self.run.options.outside)
    }

    /// The first way that is open.
    ///
    /// # Errors
    /// If a condition fails, where the workflow is strict.
    fn choose(
        &self,
        from: Option<NodeId>,
        exits: &Exits,
        state: &State,
    ) -> Result<Option<Next>, Trouble> {
        let scope = self.scope(state);
        for way in &exits.ways {
            let Some(condition) = &way.condition else {
                match &way.leads {
                    Leads::To(next) => return Ok(Some(*next)),
                    Leads::Targets(_) => continue,
                }
            };
            let chosen = match &way.leads {
                Leads::To(next) => condition.holds(&scope).map(|holds| holds.then_some(*next)),
                Leads::Targets(targets) => condition.text(&scope).map(|text| {
                    let text = text?;
                    let target = targets.iter().find(|(result, _)| *result == text)?;
                    Some(target.1)
                }),
            };
            let node = || from.map_or(START, |id| self.flow.plan.name(id));
            match chosen {
                Ok(Some(next)) => return Ok(Some(next)),
                Ok(None) => {}
                Err(why) => {
                    let failed = self.condition_failed(node(), condition.source(), &why);
                    failed.map_err(|trouble| match from {
                        Some(id) => {
                            let node = &self.flow.model.nodes[id.0].name;
                            trouble.at(&node.value, node.place)
                        }
                        None => trouble,
                    })?;
                }
            }
        }
        Ok(None)
    }

    /// Reports a condition that fails: it counts as false.
    ///
    /// # Errors
    /// Where the workflow is strict.
    pub(crate) fn condition_failed(
        &self,
        node: &str,
        condition: &str,
        why: &str,
    ) -> Result<(), Trouble> {
        let message = self.run.options.outside.mask(why).into_owned();
        if self.flow.model.settings.strict {
            let message = format!(
                "{}: the condition `{condition}` failed: {message}",
                chunk_name(node)
            );
            return Err(Failure::own("ExecutionError", message).into());
        }
        self.run
            .events
            .emit(self.track.branch.as_ref(), || EventKind::ConditionFailed {
                node: node.to_owned(),
                condition: condition.to_owned(),
                message,
            });
        Ok(())
    }

    /// Whether the path was stopped as a whole, and not just a node of it.
    pub(crate) fn is_over(&self) -> bool {
        self.terms.cancel.is_cancelled() || self.terms.is_over()
    }

    /// Fails if the path was stopped as a whole.
    pub(crate) fn check(&self) -> Result<(), Trouble> {
        if self.terms.cancel.is_cancelled() {
            return Err(Failure::cancelled("the run was cancelled").into());
        }
        if self.terms.is_over() {
            return Err(self.terms.out_of_time("it").into());
        }
        Ok(())
    }

    fn stops(&self, id: NodeId, moment: Moment) -> bool {
        self.level == 0 && self.run.stops(id, moment)
    }

    /// Notes how far the main path has come.
    fn save(
        &mut self,
        at: At,
        state: &State,
        interrupt: Option<(NodeId, Moment)>,
    ) -> Result<(), Trouble> {
        let plan = self.flow.plan;
        let Some(saver) = &mut self.saver else {
            return Ok(());
        };
        let position = Position::of(at, plan);
        let interrupt = interrupt.map(|(id, moment)| (plan.name(id).to_owned(), moment));
        saver
            .save(position, state, self.ran, interrupt)
            .map_err(|why| Failure::own("CheckpointError", why).into())
    }

    /// Ends the path; what remains are the reports of its instances, and of those of its
    /// branches.
    pub(crate) fn finish(self) -> Vec<InstanceReport> {
        let mut reports = self.track.finish();
        reports.extend(self.instances);
        reports
    }
}

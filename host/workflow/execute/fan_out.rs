//! Fan-outs: branches run, and what they gave goes into the state.

use std::sync::{Arc, Mutex, OnceLock};

use crate::workflow::event::EventKind;
use crate::workflow::execute::branches::{Branches, FanOutRun, Gathered};
use crate::workflow::execute::entry;
use crate::workflow::execute::finished::Finished;
use crate::workflow::execute::fold::Reductions;
use crate::workflow::execute::here::Here;
use crate::workflow::execute::job::{Body, FanOutJob, Place};
use crate::workflow::execute::lua_of_branches::lua_of_branches;
use crate::workflow::execute::merge::{Ended, merge};
use crate::workflow::execute::path::Path;
use crate::workflow::execute::trouble::Trouble;
use crate::workflow::json::Json;
use crate::workflow::model::{Collect, Start};
use crate::workflow::plan::{FanOutId, NodeId};
use crate::workflow::report::Failure;
use crate::workflow::state::{PARALLEL_RESULTS, State};
use crate::workflow::worker::away::Away;

impl Path<'_> {
    /// Runs the branches of a fan-out that edges say, and puts what they gave into the state.
    ///
    /// # Errors
    /// If the path is stopped, if the branches can't be merged, or where a failed branch fails
    /// the run.
    pub(crate) fn fan_out(&mut self, id: FanOutId, state: &mut State) -> Result<(), Trouble> {
        let plan = self.flow.plan;
        let fan_out = plan.fan_out(id);
        let settings = &self.flow.model.settings.parallel;
        let terms = self.terms.clone();
        let name = |id: &NodeId| Arc::from(plan.name(*id));
        let branches = Branches {
            names: fan_out.branches.iter().map(name).collect(),
            most: usize::MAX,
            fail_fast: settings.fail_fast,
            terms: &terms,
            together: &fan_out.together,
            merge: settings.merge.with(&fan_out.together),
            leave: Vec::new(),
            place: Some((name(&fan_out.fan_in), fan_out.place)),
            items: &[],
            job: FanOutJob {
                body: Body::Edges(id),
                fan_in: Some(fan_out.fan_in),
                timeout: settings.timeout,
                state: state.clone(),
                keys: self.track.keys.fan_out("edges", plan.name(fan_out.fan_in)),
            },
        };
        let finished = self.saver.as_ref().map(|saver| {
            let names: Vec<_> = fan_out.branches.iter().map(|id| plan.name(*id)).collect();
            saver.finished(&names, plan.name(fan_out.fan_in))
        });
        let results = self.run_branches(&branches, state, finished.as_ref())?;
        state.set(PARALLEL_RESULTS, results);
        if let Some(saver) = &mut self.saver {
            saver.forget_finished();
        }
        Ok(())
    }

    /// Runs all branches and waits for them, and puts what they gave together. What is returned are
    /// their entries, in the written order, whichever ended first; a branch that failed is among
    /// them like any other. Those that `finished` knows are not run again.
    ///
    /// # Errors
    /// If the path is stopped, if no thread can be started, if what the branches gave can't be put
    /// together, or where a failed branch fails the run.
    pub(crate) fn run_branches(
        &mut self,
        branches: &Branches<'_>,
        state: &mut State,
        finished: Option<&Finished>,
    ) -> Result<Json, Trouble> {
        let conflict = |why: String| {
            let trouble = Trouble::from(Failure::own("ConflictError", why));
            match &branches.place {
                Some((origin, place)) => trouble.at(origin, *place),
                None => trouble,
            }
        };
        let reductions = Reductions::new(&branches.together.reduce, &branches.job.state);
        let reductions = reductions.map_err(conflict)?;
        let gathered = self.gather(branches, &reductions, finished)?;
        let Gathered {
            mut entries,
            partials,
            ..
        } = gathered;
        let keys = branches.together.reduce.keys().map(String::as_str);
        let leave: Vec<&str> = branches.leave.iter().copied().chain(keys).collect();
        let ended = entries
            .iter()
            .filter_map(|(_, it)| Some((&it.branch, it.result.as_ref().ok()?)));
        let ended: Vec<Ended<'_>> = ended.collect();
        merge(&branches.merge, state, &ended, &leave).map_err(conflict)?;
        for (key, value) in reductions.finish(partials).map_err(conflict)? {
            state.set(key, value);
        }
        match branches.together.collect() {
            Collect::All => {}
            Collect::Errors => entries.retain(|(_, entry)| entry.result.is_err()),
            Collect::None => entries.clear(),
        }
        Ok(entry::list(entries.into_iter().map(|(_, entry)| entry)))
    }

    /// Runs all branches and waits for them.
    fn gather(
        &mut self,
        branches: &Branches<'_>,
        reductions: &Reductions,
        finished: Option<&Finished>,
    ) -> Result<Gathered, Trouble> {
        let count = branches.names.len();
        let mut known = Vec::new();
        if let Some(finished) = finished {
            for (index, name) in branches.names.iter().enumerate() {
                let branch = finished.get(index, name);
                let branch = branch.map_err(|why| Failure::own("CheckpointError", why))?;
                known.push(Mutex::new(branch));
            }
        }
        let fan_in = branches
            .job
            .fan_in
            .map(|id| self.flow.plan.name(id).to_owned());
        self.run
            .events
            .emit(self.track.branch.as_ref(), || EventKind::FanOut {
                branches: count,
                fan_in,
            });
        let start = match self.run.workflow.model.settings.parallel.start {
            Start::Fresh => None,
            // A worker is sent the state by itself.
            Start::Fork if self.level == 0 && self.run.of_workers().is_some() => {
                Some(self.track.snapshot()?.into())
            }
            Start::Fork => {
                let chunks = lua_of_branches(self.flow, &branches.job);
                Some(self.track.beginning(&branches.job.state, &chunks)?)
            }
        };
        let cancel = branches.terms.cancel.child();
        let here = Here {
            run: self.run,
            flow: self.flow,
            level: self.level,
            around: self.track.branch.clone(),
            job: &branches.job,
            terms: branches.terms,
            start,
            cancel: cancel.clone(),
        };
        let said = self.run.options.said(self.run.workflow);
        let said = said.map_or(branches.most, |said| branches.most.min(said.get()));
        // Branches of branches run where those do.
        let elsewhere = self.run.of_workers().filter(|_| self.level == 0);
        let elsewhere = elsewhere.map(|(workers, run)| {
            let away = Away {
                run,
                job: &branches.job,
                terms: branches.terms,
                start: here.start.as_ref().map(|start| start.snapshot.clone()),
                prelude: self.run.prelude.get().cloned(),
                cancel: cancel.clone(),
                most: (said < usize::MAX).then_some(said),
                needs: branches.needs_of_ends(finished.is_some()),
            };
            self.run.opened.place(workers, away)
        });
        let elsewhere = elsewhere.transpose()?;
        let place: &dyn Place = elsewhere.as_deref().unwrap_or(&here);
        let work = FanOutRun {
            events: &self.run.events,
            around: self.track.branch.clone(),
            branches,
            place,
            reductions,
            finished,
            known,
            cancel,
            failed_first: OnceLock::new(),
            won: Mutex::default(),
            next: Default::default(),
        };
        let threads = place.at_once().min(said).min(count);
        if let Some(running) = &mut self.running {
            running.pause();
        }
        work.count_known();
        let gathered = work.run(threads);
        if let Some(running) = &mut self.running {
            running.resume(self.terms.deadline, &self.terms.cancel);
        }
        let mut gathered = gathered.map_err(|error| {
            let message = format!("no thread could be started for the branches: {error}");
            Failure::own("ExecutionError", message)
        })?;
        let reports = std::mem::take(&mut gathered.reports);
        let reports = reports.into_iter().flat_map(|(_, reports)| reports);
        self.instances.extend(reports);
        self.check()?;
        if branches.terms.is_over() {
            return Err(branches.terms.out_of_time("these branches").into());
        }
        // A race that is won hasn't failed, whoever lost it.
        let until = branches.together.until();
        let is_won = until.is_some_and(|until| gathered.succeeded >= until);
        if self.flow.model.config.raise_exceptions
            && !is_won
            && let Some(failed) = &gathered.failed
        {
            let message = format!("branch '{}': {}", failed.branch, failed.message);
            return Err(Failure::own("ExecutionError", message).into());
        }
        Ok(gathered)
    }
}

//! Branches by way of a server of NATS: the same results, one of each, whatever becomes of workers.

mod cancel;
pub(crate) mod crew;
mod fold;
mod grants;
mod lost;
#[path = "../../common/nats_server.rs"]
pub(crate) mod server;
mod silent;

use moonfork::workflow::{RunResult, RunSettings, Workflow};
use serde_json::Value;

pub(crate) use crew::shared;

use crate::workers::pool;

#[track_caller]
fn workflow(text: &str) -> Workflow {
    Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn run(text: &str, settings: &RunSettings) -> RunResult {
    let outcome = workflow(text).run(&pool(false), (), settings);
    outcome.unwrap_or_else(|error| panic!("{error}"))
}

/// The entries of the last fan-out.
fn entries(result: &RunResult) -> &Vec<Value> {
    result.state["parallel_results"].as_array().expect("a list")
}

#[track_caller]
fn assert_all_succeeded(result: &RunResult) {
    for entry in entries(result) {
        assert_eq!(entry["success"], Value::Bool(true), "{entry}");
    }
}

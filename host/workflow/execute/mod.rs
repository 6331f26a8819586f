//! From a [`Plan`](crate::workflow::Plan) to a result: nodes, branches, and what is written down on the way.

mod answer;
mod best;
pub(crate) mod branches;
pub(crate) mod budget;
pub(crate) mod call_keys;
pub(crate) mod checkpoint;
pub(crate) mod context;
pub(crate) mod each;
pub(crate) mod entry;
pub(crate) mod exact;
pub(crate) mod fan_out;
pub(crate) mod file;
pub(crate) mod finished;
pub(crate) mod fold;
pub(crate) mod here;
pub(crate) mod job;
pub(crate) mod journals;
pub(crate) mod lua_of_branches;
pub(crate) mod matrix;
pub(crate) mod merge;
pub(crate) mod node;
pub(crate) mod partial;
#[cfg(feature = "nats")]
pub(crate) mod partial_sent;
pub(crate) mod path;
pub(crate) mod position;
pub(crate) mod reduce;
pub(crate) mod run;
pub(crate) mod shared_text;
pub(crate) mod sharing;
pub(crate) mod stops;
pub(crate) mod stream;
pub(crate) mod terms;
pub(crate) mod track;
pub(crate) mod trouble;
pub(crate) mod wait;
pub(crate) mod workers;

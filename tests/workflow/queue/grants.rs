//! What workers have to have.

use moonfork::workflow::RunSettings;
use serde_json::json;

use super::crew::{Crew, Kind};
use super::server::Server;
use super::{entries, run, workflow};
use crate::conformance::functions;
use crate::workers::pool;

#[test]
fn what_only_the_run_grants_is_refused_before_anything_is_sent() {
    let Some(server) = Server::start() else {
        return;
    };
    let crew = Crew::start(&server, &Kind::default());
    let own = functions::builder(16, false)
        .function("mine", |(): ()| Ok(1))
        .build()
        .expect("a pool");
    let text = "nodes: [{name: each, parallel_each: [1, 2], run: 'return mine()'}]";
    let error = workflow(text).run(&own, (), &crew.settings());
    let error = error.expect_err("it is refused");
    assert_eq!(error.failure().error_type, "DeniedError");
    let message = error.to_string();
    assert!(message.contains("the workers lack"), "{message}");
    assert!(message.contains("the host function `mine`"), "{message}");
    assert!(error.report().instances.is_empty());
}

#[test]
fn a_file_may_name_the_pool_or_stay_here() {
    let Some(server) = Server::start() else {
        return;
    };
    let crew = Crew::start(&server, &Kind::default());
    let text = |parallel: &str| {
        format!(
            "{{settings: {{parallel: {{{parallel}}}}}, nodes: [{{name: each, parallel_each: [1], run: 'return worker()'}}]}}"
        )
    };
    let here = run(&text("where: local"), &crew.settings());
    assert_eq!(
        entries(&here)[0]["state"]["result"],
        json!(std::process::id())
    );
    let away = run(&text("where: workers"), &crew.settings());
    assert_ne!(
        entries(&away)[0]["state"]["result"],
        json!(std::process::id())
    );
    let error = workflow(&text("pool: nobody")).run(&pool(false), (), &crew.settings());
    let message = error.expect_err("there is no such pool").to_string();
    assert!(
        message.contains("no worker of the pool `nobody`"),
        "{message}"
    );
    let error = workflow(&text("where: workers")).run(&pool(false), (), &RunSettings::new());
    let error = error.expect_err("it is given none");
    assert_eq!(error.failure().error_type, "OptionError");
    assert!(error.to_string().contains("where` is `workers`"), "{error}");
}

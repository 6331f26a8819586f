//! Results: one for each chunk, whatever a worker does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream;
use futures_util::StreamExt;
use moonfork_nats::{Sabotage, Task};
use tokio::runtime::Runtime;

use crate::server::Server;
use crate::side::{self, Serving, worker};

/// A client of the server, as anybody may write one.
fn client(url: &str) -> (Runtime, jetstream::Context) {
    let runtime = Runtime::new().expect("a runtime");
    let context = runtime.block_on(async {
        let client = async_nats::connect(url).await.expect("a server");
        jetstream::new(client)
    });
    (runtime, context)
}

/// Publishes something else as the result of a chunk.
fn publish_before(url: &str, task: &Task) {
    let (runtime, context) = client(url);
    runtime.block_on(async {
        let subject = format!("mf.result.{}", task.id());
        let sent = context.publish(subject, "something else".into()).await;
        sent.expect("it is sent")
            .await
            .expect("there is none before");
    });
}

/// The item comes to its end, and no chunk has two results; what a worker notes is the answer.
#[track_caller]
fn has_one_result(server: &Server, sabotage: Sabotage) -> Vec<String> {
    let (note, notes) = std::sync::mpsc::channel();
    let worker = worker(server, 1).sabotage(sabotage).on_note(move |text| {
        let _ = note.send(text.to_owned());
    });
    let (url, is_done) = (server.url(), AtomicBool::new(false));
    let mut serving = Serving::start(worker, move |task: &Arc<Task>| {
        while let Some((key, item)) = task.next_item() {
            if !is_done.swap(true, Ordering::SeqCst) {
                publish_before(&url, task);
            }
            task.end(key, item);
        }
    });
    let session = side::open(server, Duration::from_secs(1));
    session.send("", vec![(0, "item".into())]);
    let got = side::collect(&session, 1);
    assert_eq!(got.ends.get(&0).map(String::as_str), Some("item"));
    let (runtime, context) = client(&server.url());
    runtime.block_on(async {
        let stream = context.get_stream("MF_RESULTS").await.expect("it is there");
        let of_run = format!("mf.result.{}.>", session.run());
        let mut subjects = stream.info_with_subjects(of_run).await.expect("it answers");
        let mut counts = Vec::new();
        while let Some(subject) = subjects.next().await {
            counts.push(subject.expect("it answers").1);
        }
        // That of the chunk, and that of the suspect that it became.
        assert_eq!(counts, [1, 1]);
        let subject = format!("mf.result.{}.1.0", session.run());
        let first = stream.get_last_raw_message_by_subject(&subject).await;
        assert_eq!(first.expect("it is there").payload, "something else");
    });
    serving.stop();
    notes.try_iter().collect()
}

#[test]
fn a_worker_that_asks_is_told_that_there_is_one() {
    let Some(server) = Server::start() else {
        return;
    };
    let notes = has_one_result(&server, Sabotage::default());
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn one_that_does_not_ask_is_refused() {
    let Some(server) = Server::start() else {
        return;
    };
    let unconditional = Sabotage {
        unconditional: true,
        ..Sabotage::default()
    };
    let notes = has_one_result(&server, unconditional);
    assert!(
        notes
            .iter()
            .any(|it| it.contains("maximum messages per subject")),
        "{notes:?}"
    );
}

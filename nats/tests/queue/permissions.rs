//! Who may do what, by the configuration that `docs/scaling.md` shows.

use std::sync::mpsc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use moonfork_nats::{Access, Run, Update, Worker};
use tokio::runtime::Runtime;

use crate::server::Server;
use crate::side::{self, Serving};

const PAGE: &str = include_str!("../../../docs/scaling.md");

/// A server with the users of the page.
fn server() -> Option<Server> {
    let (_, block) = PAGE.split_once("```conf\n").expect("the page has it");
    let (block, _) = block.split_once("\n```").expect("it ends");
    let block = block
        .replace("$RUN_PASSWORD", "\"of-run\"")
        .replace("$WORKER_PASSWORD", "\"of-worker\"");
    Server::start_with(&block)
}

fn access(server: &Server, user: &str) -> Access {
    Access::new(format!("nats://{user}:of-{user}@127.0.0.1:{}", server.port))
}

#[test]
fn runs_and_workers_can_do_what_they_have_to() {
    let Some(server) = server() else { return };
    // The worker comes first, and can't make the streams.
    let worker = Worker::new(access(&server, "worker"), "default", "1-test").expect("fine names");
    let (note, _notes) = mpsc::channel();
    let worker = worker.on_note(move |text| {
        let _ = note.send(text.to_owned());
    });
    let mut worker = Serving::start(worker, |task| {
        let blob = std::str::from_utf8(task.common()).expect("text").to_owned();
        assert_eq!(task.blob(&blob).expect("it may read it"), b"blob");
        while let Some((key, item)) = task.next_item() {
            // Too long for a message, so that it stores a blob, too.
            let end = match key {
                0 => vec![item[0]; 2_000_000],
                _ => item.to_vec(),
            };
            task.end(key, end);
        }
    });
    let client = moonfork_nats::Client::connect(&access(&server, "run")).expect("a server");
    let run = Run::new("default", "1-test").patience(Duration::from_secs(60));
    let mut session = client.open(run).unwrap_or_else(|error| panic!("{error}"));
    session.begin();
    let blob = session.put_blob(b"blob".to_vec()).expect("it may store it");
    session.send(
        blob,
        (0..10).map(|key| (key, vec![b'x'; 10].into())).collect(),
    );
    let mut ends = 0;
    while ends < 10 {
        match session.wait(Some(Duration::from_secs(60))) {
            Some(Update::End { .. }) => ends += 1,
            Some(Update::Broken(why)) => panic!("{why}"),
            Some(_) => {}
            None => panic!("nothing comes"),
        }
    }
    session.cancel();
    assert_eq!(client.overview().expect("it answers").workers.len(), 1);
    worker.stop();
    assert!(client.overview().expect("it answers").workers.is_empty());
}

/// A client with the rights of a worker, and what the server refuses it.
fn as_worker(server: &Server, runtime: &Runtime) -> (Client, mpsc::Receiver<String>) {
    let (sender, refused) = mpsc::channel();
    let options = ConnectOptions::with_user_and_password("worker".into(), "of-worker".into())
        .custom_inbox_prefix("_MFW.test")
        .event_callback(move |event| {
            if let Event::ServerError(error) = event {
                let _ = sender.send(error.to_string());
            }
            std::future::ready(())
        });
    let url = server.url();
    let client = runtime.block_on(options.connect(url)).expect("a server");
    (client, refused)
}

#[test]
fn a_worker_can_do_nothing_else() {
    let Some(server) = server() else { return };
    let client = moonfork_nats::Client::connect(&access(&server, "run")).expect("a server");
    drop(client);
    let runtime = Runtime::new().expect("a runtime");
    let (client, refused) = as_worker(&server, &runtime);
    let heard = || {
        let refused = refused.recv_timeout(Duration::from_secs(60));
        refused.expect("it is refused").to_lowercase()
    };
    for subject in [
        // Submit.
        "mf.job.default.1-test.run.1.0",
        "mf.suspect.default.1-test.run.1.0",
        // Make consumers and streams, and look around in them.
        "$JS.API.CONSUMER.CREATE.MF_RESULTS.mine",
        "$JS.API.CONSUMER.DURABLE.CREATE.MF_JOBS.mine",
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.STREAM.INFO.MF_BLOBS",
        "$JS.API.STREAM.MSG.GET.MF_JOBS",
        "$JS.API.STREAM.PURGE.MF_JOBS",
        "$JS.API.DIRECT.GET.MF_JOBS.mf.job.>",
        "$JS.API.DIRECT.GET.MF_BLOBS",
        // Cancel, or say that a run is on.
        "mf.cancel.run",
        "$KV.mf_runs.run",
    ] {
        runtime.block_on(async {
            client
                .publish(subject, "{}".into())
                .await
                .expect("it is sent");
            client.flush().await.expect("it is sent");
        });
        let expected = format!("publish to \"{}\"", subject.to_lowercase());
        let heard = heard();
        assert!(heard.contains(&expected), "{subject}: {heard}");
    }
    for subject in [
        "mf.event.*",
        "_MFC.>",
        "_INBOX.>",
        "mf.job.>",
        "mf.result.>",
        "$JS.EVENT.>",
    ] {
        let _subscribed = runtime
            .block_on(client.subscribe(subject))
            .expect("it is sent");
        let expected = format!("subscription to \"{}\"", subject.to_lowercase());
        let heard = heard();
        assert!(heard.contains(&expected), "{subject}: {heard}");
    }
}

#[test]
fn what_it_gets_by_guessing_is_sealed() {
    let Some(server) = server() else { return };
    let worker = Worker::new(access(&server, "worker"), "default", "1-test").expect("fine names");
    let _worker = Serving::start(worker, side::capitals);
    let client = moonfork_nats::Client::connect(&access(&server, "run")).expect("a server");
    let run = Run::new("default", "1-test").patience(Duration::from_secs(60));
    let session = client.open(run).unwrap_or_else(|error| panic!("{error}"));
    let secret = b"what nobody else is to read";
    session.put_blob(secret.to_vec()).expect("it may store it");
    let runtime = Runtime::new().expect("a runtime");
    let (client, _refused) = as_worker(&server, &runtime);
    let guess = "$JS.API.DIRECT.GET.MF_BLOBS.mf.blob.*.*";
    let found = runtime
        .block_on(client.request(guess, "".into()))
        .expect("an answer");
    // It is this one, and isn't to be read.
    assert_eq!(found.payload.len(), secret.len() + 12 + 16);
    assert!(
        !found
            .payload
            .windows(8)
            .any(|part| secret.windows(8).any(|it| it == part))
    );
}

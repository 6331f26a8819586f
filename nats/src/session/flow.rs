//! What goes to the server, and what comes from there.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{AckKind, Message};
use async_nats::{HeaderMap, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::link::Published;
use crate::message::{self, Body, CancelSent, Ended, JobSent, Note, RunShown};
use crate::names::{self, Queue};
use crate::session::book::{Chunk, Silent, Taken};
use crate::session::{Shared, Update};

/// How long the server keeps the consumer of a run that has ended by force.
const UNUSED: Duration = Duration::from_secs(300);

const PAUSE: Duration = Duration::from_millis(200);

/// What the server says of a job that was delivered as often as it may be.
#[derive(Deserialize)]
struct Advisory {
    stream: String,
    stream_seq: u64,
}

/// Shows that the run is on, from this batch on.
pub(super) async fn show(shared: &Shared, from: u64) -> Result<(), Error> {
    let shown = message::encode(&RunShown { from })?;
    let key = names::run_key(&shared.run);
    let put = shared.link.publish_once(&key, shown, false, || true);
    put.await.map(drop)
}

/// Sends a chunk, unless it has an end meanwhile.
pub(super) async fn send(shared: Arc<Shared>, batch: u64, name: String, chunk: Chunk) {
    if let Err(error) = try_send(&shared, batch, &name, &chunk).await
        && !shared.is_closed()
        && is_open(&shared, batch, &name)
    {
        shared.tell(batch, Update::Broken(error.to_string()));
    }
}

fn is_open(shared: &Shared, batch: u64, name: &str) -> bool {
    let book = shared.book();
    book.batch == batch && book.get(name).is_some()
}

async fn try_send(shared: &Shared, batch: u64, name: &str, chunk: &Chunk) -> Result<(), Error> {
    let job = message::squeeze(&message::encode(&chunk.job)?);
    let body = match job.len() <= shared.link.max_message() {
        true => Body::Here(job.into()),
        false => {
            let put = shared.link.put_blob(&shared.run, &shared.key, &job);
            Body::Blob(put.await?)
        }
    };
    let sent = message::encode(&JobSent {
        lease: u64::try_from(shared.lease.as_millis()).unwrap_or(u64::MAX),
        key: Bytes::copy_from_slice(shared.key.bytes()),
        body,
    })?;
    let subject = shared.crew.job(chunk.queue, &shared.run, batch, name);
    let give_up = || shared.is_closed() || !is_open(shared, batch, name);
    let published = shared
        .link
        .publish_once(&subject, sent, true, give_up)
        .await?;
    let sequence = match published {
        Published::Now(sequence) => Some(sequence),
        // The answer to an earlier try got lost.
        Published::Before => {
            let found = shared.link.last(chunk.queue.stream(), &subject).await?;
            found.and_then(|it| sequence_of(it.headers.as_ref()?))
        }
    };
    if let Some(sequence) = sequence {
        let mut book = shared.book();
        if book.batch == batch {
            book.sent(name, sequence);
        }
    }
    if chunk.queue == Queue::Suspects {
        wake(shared).await;
    }
    Ok(())
}

fn sequence_of(headers: &HeaderMap) -> Option<u64> {
    headers.get("Nats-Sequence")?.as_str().parse().ok()
}

/// Tells workers that there is something to do.
pub(super) async fn wake(shared: &Shared) {
    let _ = shared
        .link
        .client
        .publish(shared.crew.wake(), Bytes::new())
        .await;
}

/// The consumer of the run's results.
pub(super) async fn results(shared: &Shared) -> Result<PullConsumer, Error> {
    let config = pull::Config {
        durable_name: Some(shared.run.clone()),
        filter_subject: format!("mf.result.{}.>", shared.run),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: 100_000,
        inactive_threshold: UNUSED,
        ..pull::Config::default()
    };
    let made = shared
        .link
        .context
        .create_consumer_on_stream(config, names::RESULTS);
    made.await
        .map_err(|error| Error::of("the consumer of results", error))
}

pub(super) async fn hear_results(shared: Arc<Shared>, mut consumer: PullConsumer) {
    loop {
        if let Ok(mut messages) = consumer.messages().await {
            while let Some(Ok(message)) = messages.next().await {
                hear_result(&shared, &message).await;
            }
        }
        // The server was away, and may have forgotten.
        tokio::time::sleep(PAUSE).await;
        if let Ok(again) = results(&shared).await {
            consumer = again;
        }
    }
}

async fn hear_result(shared: &Arc<Shared>, message: &Message) {
    take_result(shared, &message.subject, &message.payload).await;
    let _ = message.ack_with(AckKind::Ack).await;
}

/// Takes in a result. One that can't be read counts as that of a worker that fell silent.
pub(super) async fn take_result(shared: &Arc<Shared>, subject: &str, payload: &[u8]) {
    let place = names::place(subject).filter(|(run, ..)| *run == shared.run);
    let Some((_, batch, name)) = place.filter(|(_, batch, _)| shared.book().batch == *batch) else {
        return;
    };
    match read_result(shared, subject, payload).await {
        Ok(ended) => take_ended(shared, batch, name, ended),
        Err(_) => fell_silent(shared, name).await,
    }
}

async fn read_result(shared: &Shared, subject: &str, payload: &[u8]) -> Result<Ended, Error> {
    let bytes = match message::decode(payload)? {
        Body::Here(sealed) => shared.key.open(subject, &sealed)?,
        Body::Blob(blob) => shared.link.blob(&shared.run, &shared.key, &blob).await?,
    };
    message::decode(&message::unsqueeze(&bytes)?)
}

fn take_ended(shared: &Arc<Shared>, batch: u64, name: &str, ended: Ended) {
    let worker: Arc<str> = ended.worker.as_str().into();
    let mut book = shared.book();
    if book.batch != batch {
        return;
    }
    let Taken {
        ends,
        cancelled,
        again,
        remove,
    } = book.take(name, ended);
    drop(book);
    for (keys, end) in ends {
        let (keys, worker) = (keys.into_vec(), Arc::clone(&worker));
        shared.tell(batch, Update::End { keys, worker, end });
    }
    if !cancelled.is_empty() {
        shared.tell(batch, Update::Cancelled { keys: cancelled });
    }
    // There is room for another.
    shared.tell(batch, Update::Look);
    for (name, chunk) in again {
        tokio::spawn(send(Arc::clone(shared), batch, name, chunk));
    }
    for (queue, sequence) in remove {
        tokio::spawn(delete(Arc::clone(shared), queue, sequence));
    }
}

/// Hears what workers say meanwhile, and what the server says of those that fell silent.
pub(super) async fn listen(shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>, Error> {
    let client = &shared.link.client;
    let fail = |error| Error::of("listening to the server", error);
    let notes = client
        .subscribe(names::event(&shared.run))
        .await
        .map_err(fail)?;
    let mut helpers = vec![tokio::spawn(hear_notes(Arc::clone(shared), notes))];
    for queue in [Queue::Jobs, Queue::Suspects] {
        let subject = queue.advisories(&shared.crew);
        let advisories = client.subscribe(subject).await.map_err(fail)?;
        helpers.push(tokio::spawn(hear_advisories(
            Arc::clone(shared),
            advisories,
        )));
    }
    Ok(helpers)
}

async fn hear_notes(shared: Arc<Shared>, mut notes: Subscriber) {
    while let Some(message) = notes.next().await {
        match message::decode(&message.payload) {
            Ok(Note::At { batch, chunk }) => {
                let mut book = shared.book();
                if book.batch == batch {
                    book.alive(&chunk);
                }
            }
            Ok(Note::Event { batch, key, bytes }) => {
                let event = Update::Event { key, event: bytes };
                shared.tell(batch, event);
            }
            Err(_) => {}
        }
    }
}

async fn hear_advisories(shared: Arc<Shared>, mut advisories: Subscriber) {
    while let Some(message) = advisories.next().await {
        let Ok(advisory) = serde_json::from_slice::<Advisory>(&message.payload) else {
            continue;
        };
        let queue = match advisory.stream == names::SUSPECT {
            true => Queue::Suspects,
            false => Queue::Jobs,
        };
        let name = shared.book().at(queue, advisory.stream_seq);
        match name {
            Some(name) => fell_silent(&shared, &name).await,
            None => remove_if_own(&shared, queue, advisory.stream_seq).await,
        }
    }
}

/// A job that has its end, and whose acknowledgement was lost.
async fn remove_if_own(shared: &Arc<Shared>, queue: Queue, sequence: u64) {
    let stream = shared.link.context.get_stream_no_info(queue.stream()).await;
    let Ok(stream) = stream else { return };
    let Ok(found) = stream.get_raw_message(sequence).await else {
        return;
    };
    let is_own = names::place(&found.subject).is_some_and(|(run, ..)| run == shared.run);
    if is_own {
        delete(Arc::clone(shared), queue, sequence).await;
    }
}

/// A worker has fallen silent over a chunk: others run its items, as suspects.
pub(super) async fn fell_silent(shared: &Arc<Shared>, name: &str) {
    let (batch, queue, sequence, silent) = {
        let mut book = shared.book();
        let Some(chunk) = book.get(name) else { return };
        let (queue, sequence) = (chunk.queue, chunk.sequence);
        (book.batch, queue, sequence, book.fell_silent(name))
    };
    let Silent {
        suspects,
        lost,
        cancelled,
    } = silent;
    if !cancelled.is_empty() {
        shared.tell(batch, Update::Cancelled { keys: cancelled });
    }
    if let Some(sequence) = sequence {
        delete(Arc::clone(shared), queue, sequence).await;
    }
    for (name, chunk) in suspects {
        tokio::spawn(send(Arc::clone(shared), batch, name, chunk));
    }
    if let Some((key, chunk)) = lost {
        bury(shared, batch, name, &chunk).await;
        let times = chunk.silent + 2;
        shared.tell(batch, Update::Lost { key, times });
    }
}

/// Copies a job to the dead letters, where an operator finds it. Its run goes on without, whether that works or not.
async fn bury(shared: &Shared, batch: u64, name: &str, chunk: &Chunk) {
    let Ok(job) = message::encode(&chunk.job) else {
        return;
    };
    let subject = names::dead(&shared.run, batch, name);
    let sealed = shared.key.seal(&subject, &message::squeeze(&job));
    if let Ok(sealed) = sealed
        && sealed.len() <= shared.link.max_message()
    {
        let put = shared
            .link
            .publish_once(&subject, sealed.into(), false, || true);
        let _ = put.await;
    }
}

async fn delete(shared: Arc<Shared>, queue: Queue, sequence: u64) {
    if let Ok(stream) = shared.link.context.get_stream_no_info(queue.stream()).await {
        // It may be gone.
        let _ = stream.delete_message(sequence).await;
    }
}

/// Tells workers that a batch is over, and takes it out of the queues.
pub(super) async fn cancel(shared: &Shared, batch: u64) {
    tell_cancel(shared, batch + 1).await;
    let _ = show(shared, batch + 1).await;
    for queue in [Queue::Jobs, Queue::Suspects] {
        purge(
            shared,
            queue.stream(),
            queue.of_run(&shared.run, Some(batch)),
        )
        .await;
    }
}

async fn tell_cancel(shared: &Shared, from: u64) {
    if let Ok(sent) = message::encode(&CancelSent { from }) {
        let client = &shared.link.client;
        let _ = client.publish(names::cancel(&shared.run), sent).await;
        let _ = client.flush().await;
    }
}

async fn purge(shared: &Shared, stream: &str, filter: String) {
    if let Ok(stream) = shared.link.context.get_stream_no_info(stream).await {
        let _ = stream.purge().filter(filter).await;
    }
}

/// Removes the results of a batch, or of all of them.
pub(super) async fn forget_results(shared: &Shared, batch: Option<u64>) {
    let filter = match batch {
        Some(batch) => format!("mf.result.{}.{batch}.>", shared.run),
        None => format!("mf.result.{}.>", shared.run),
    };
    purge(shared, names::RESULTS, filter).await;
}

/// Removes what the run has left.
pub(super) async fn close(shared: &Shared) {
    tell_cancel(shared, u64::MAX).await;
    let mut headers = HeaderMap::new();
    headers.insert("KV-Operation", "DEL");
    let key = names::run_key(&shared.run);
    let client = &shared.link.client;
    let _ = client
        .publish_with_headers(key, headers, Bytes::new())
        .await;
    for queue in [Queue::Jobs, Queue::Suspects] {
        purge(shared, queue.stream(), queue.of_run(&shared.run, None)).await;
    }
    let context = &shared.link.context;
    let _ = context
        .delete_consumer_from_stream(&shared.run, names::RESULTS)
        .await;
    forget_results(shared, None).await;
    purge(shared, names::BLOBS, names::blob(&shared.run, ">")).await;
}

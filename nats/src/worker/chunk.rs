//! One job, from its delivery to the acknowledgement.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};

use crate::error::Error;
use crate::message::{self, Body, Ended, Job, JobSent};
use crate::names::{self, Queue};
use crate::sealed::Key;
use crate::worker::runs::{self, Wanted};
use crate::worker::task::{Stop, Task};
use crate::worker::{Slot, State, until};

/// Leases are renewed at least so often.
const RENEW: Duration = Duration::from_secs(3);

/// How often what happens in items is told.
const TELL: Duration = Duration::from_millis(20);

/// How often in a row a run may be unknown before what runs of it is stopped: it shows itself again as soon as a
/// server is back.
const UNKNOWN: u32 = 5;

/// How often the server is asked to confirm an acknowledgement; without, the job's run removes it.
const ACKS: usize = 3;

/// Runs what was delivered, unless nobody waits for it any more.
pub(super) async fn handle(state: &Arc<State>, slot: &mut Slot, queue: Queue, message: Message) {
    if let Err(error) = try_handle(state, slot, queue, &message).await {
        if slot.ended.is_closed() {
            // Its thread has panicked, and would leave every job that it got.
            state.stopper.stop();
        }
        // It isn't acknowledged, so that its run hears of it when the lease is over.
        state.note(&format!("`{}`: {error}", message.subject));
    }
}

async fn try_handle(
    state: &Arc<State>,
    slot: &mut Slot,
    queue: Queue,
    message: &Message,
) -> Result<(), Error> {
    let place = names::place(&message.subject);
    let (run, batch, chunk) = place.ok_or_else(|| Error::new("it isn't where jobs are"))?;
    // Where the run is on and was only forgotten, it sends this again.
    if runs::is_wanted(state, run, batch).await != Wanted::Yes {
        return acknowledge(message).await;
    }
    let result = names::result(run, batch, chunk);
    // A suspect may have been run before.
    if queue == Queue::Suspects && state.link.last(names::RESULTS, &result).await?.is_some() {
        return acknowledge(message).await;
    }
    let sent: JobSent = message::decode(&message.payload)?;
    let key = Key::from_bytes(&sent.key)?;
    let lease = Duration::from_millis(sent.lease);
    let renew = RENEW.min(lease / 3).max(Duration::from_millis(50));
    let job = match &sent.body {
        Body::Here(bytes) => message::unsqueeze(bytes)?,
        Body::Blob(name) => message::unsqueeze(&state.link.blob(run, &key, name).await?)?,
    };
    let job: Job = message::decode(&job)?;
    let place = (run, batch, chunk);
    let (link, io) = (state.link.clone(), state.io.clone());
    let task = Arc::new(Task::new(place, slot.number, job, key, link, io));
    state.runs.begin(&task);
    state.shown.begin(&task);
    let ended = run_task(state, slot, &task, message, renew).await;
    state.runs.end(slot.number);
    state
        .shown
        .end(&task, ended.as_ref().map_or(0, Ended::items));
    publish(state, &task, &result, &ended?, message, renew).await?;
    acknowledge(message).await
}

/// Has the thread run it, and renews the lease meanwhile.
async fn run_task(
    state: &Arc<State>,
    slot: &mut Slot,
    task: &Arc<Task>,
    message: &Message,
    renew: Duration,
) -> Result<Ended, Error> {
    let gone = || Error::new("the thread of a slot has ended");
    task.alive().await;
    slot.tasks.send(Arc::clone(task)).map_err(|_| gone())?;
    let mut ticks = tokio::time::interval(renew);
    ticks.tick().await;
    let mut tells = tokio::time::interval(TELL);
    let mut stop = state.stop.clone();
    let mut leaves = None;
    let mut unknown = 0;
    loop {
        tokio::select! {
            ended = slot.ended.recv() => {
                ended.ok_or_else(gone)?;
                break;
            }
            _ = tells.tick() => task.tell().await,
            _ = ticks.tick() => {
                if state.renews() {
                    let _ = message.ack_with(AckKind::Progress).await;
                }
                task.alive().await;
                // Word of cancelling may have got lost.
                unknown = match runs::is_wanted(state, &task.run, task.batch).await {
                    Wanted::Yes => 0,
                    Wanted::No => UNKNOWN,
                    Wanted::Unknown => unknown + 1,
                };
                if unknown >= UNKNOWN {
                    task.stop(Stop::Cancelled);
                }
            }
            () = until(&mut stop, true), if leaves.is_none() => {
                task.stop(Stop::Leaves);
                leaves = Some(tokio::time::Instant::now() + state.grace);
            }
            () = async { tokio::time::sleep_until(leaves.unwrap_or_else(tokio::time::Instant::now)).await },
                if leaves.is_some() =>
            {
                task.stop(Stop::GivenBack);
                // It ends soon, or not at all: what it does isn't known then, and its lease isn't renewed any more.
                leaves = Some(tokio::time::Instant::now() + Duration::from_secs(3600));
            }
        }
    }
    Ok(Ended {
        worker: state.id.clone(),
        took: u64::try_from(task.began.elapsed().as_micros()).unwrap_or(u64::MAX),
        ends: task.take_ends(),
    })
}

/// Publishes the result, if there is none.
async fn publish(
    state: &State,
    task: &Task,
    subject: &str,
    ended: &Ended,
    message: &Message,
    renew: Duration,
) -> Result<(), Error> {
    let bytes = message::squeeze(&message::encode(ended)?);
    let sealed = task.key().seal(subject, &bytes)?;
    let body = match sealed.len() <= state.link.max_message() {
        true => Body::Here(sealed.into()),
        false => {
            let put = state.link.put_blob(&task.run, task.key(), &bytes);
            Body::Blob(put.await?)
        }
    };
    let publish = state.link.publish_once(
        subject,
        message::encode(&body)?,
        state.publishes_once(),
        || false,
    );
    tokio::pin!(publish);
    let mut ticks = tokio::time::interval(renew);
    ticks.tick().await;
    loop {
        tokio::select! {
            published = &mut publish => return published.map(drop),
            _ = ticks.tick() => {
                if state.renews() {
                    let _ = message.ack_with(AckKind::Progress).await;
                }
            }
        }
    }
}

/// Says that a job is done, until the server has confirmed it.
async fn acknowledge(message: &Message) -> Result<(), Error> {
    let mut last = None;
    for _ in 0..ACKS {
        match message.double_ack().await {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    let last = last.map_or_else(String::new, |error| error.to_string());
    Err(Error::of("the acknowledgement", last))
}

/// Gives back a job that hasn't begun: a result without any end.
pub(super) async fn give_back(state: &State, message: &Message) {
    let given = async {
        let place = names::place(&message.subject);
        let (run, batch, chunk) = place.ok_or_else(|| Error::new("it isn't where jobs are"))?;
        let sent: JobSent = message::decode(&message.payload)?;
        let key = Key::from_bytes(&sent.key)?;
        let subject = names::result(run, batch, chunk);
        let ended = message::squeeze(&message::encode(&Ended {
            worker: state.id.clone(),
            took: 0,
            ends: Vec::new(),
        })?);
        let body = Body::Here(key.seal(&subject, &ended)?.into());
        let published = state
            .link
            .publish_once(&subject, message::encode(&body)?, true, || false);
        published.await?;
        acknowledge(message).await
    };
    if let Err(error) = given.await {
        state.note(&format!("giving back `{}`: {error}", message.subject));
    }
}

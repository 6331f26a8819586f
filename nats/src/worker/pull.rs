//! Taking jobs from the queue: one at a time for each slot, when it is free.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::{StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::Error;
use crate::names::Queue;
use crate::worker::{Slot, State, chunk, until};

/// How long the server lets a slot wait for a job.
const EXPIRES: Duration = Duration::from_secs(30);

/// How long to wait before asking again for what isn't there, unless something happens.
const PAUSE: Duration = Duration::from_secs(2);

/// How long what is under way may take to arrive, once no more is asked for.
const LAST: Duration = Duration::from_secs(2);

/// Hears that there is something to do.
pub(super) async fn listen(state: Arc<State>, mut wakes: Subscriber) {
    while wakes.next().await.is_some() {
        state.woken.send_modify(|count| *count += 1);
    }
}

/// Takes jobs until the worker is to stop.
pub(super) async fn run(state: Arc<State>, slot: Arc<Mutex<Slot>>) {
    while !state.is_stopped() {
        let mut barrier = state.barrier.subscribe();
        let mut stop = state.stop.clone();
        tokio::select! {
            () = until(&mut stop, true) => return,
            () = until(&mut barrier, false) => {}
        }
        let at_work = state.idle.read().await;
        let mut slot = slot.lock().await;
        if let Err(error) = pull(&state, &mut slot).await {
            state.note(&error.to_string());
            pause(&state).await;
        }
        drop(at_work);
    }
}

/// Until something happens that may help.
pub(super) async fn pause(state: &State) {
    let mut woken = state.woken.subscribe();
    let mut stop = state.stop.clone();
    tokio::select! {
        _ = woken.changed() => {}
        () = until(&mut stop, true) => {}
        () = tokio::time::sleep(PAUSE) => {}
    }
}

/// Asks the server for a job.
pub(super) async fn ask(
    state: &State,
    queue: Queue,
    inbox: &str,
    is_patient: bool,
) -> Result<(), Error> {
    let request = match is_patient {
        true => format!("{{\"batch\":1,\"expires\":{}}}", EXPIRES.as_nanos()),
        false => "{\"batch\":1,\"no_wait\":true}".to_owned(),
    };
    let (stream, consumer) = (queue.stream(), state.crew.consumer());
    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
    let sent =
        state
            .link
            .client
            .publish_with_reply(subject, inbox.to_owned(), Bytes::from(request));
    sent.await
        .map_err(|error| Error::of("asking for a job", error))
}

/// What the server answers.
pub(super) enum Answer {
    Job(Box<Message>),
    /// None for now.
    Nothing,
    /// The queue isn't there, or doesn't take requests.
    Away,
    /// Of no meaning.
    Other,
}

pub(super) fn answer(state: &State, message: async_nats::Message) -> Answer {
    match message.status {
        None | Some(StatusCode::OK) => Answer::Job(Box::new(Message {
            message,
            context: state.link.context.clone(),
        })),
        Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => Answer::Nothing,
        Some(StatusCode::IDLE_HEARTBEAT) => Answer::Other,
        Some(_) => Answer::Away,
    }
}

/// Takes jobs until the slot is to do something else.
async fn pull(state: &Arc<State>, slot: &mut Slot) -> Result<(), Error> {
    let inbox = state.link.client.new_inbox();
    let subscribed = state.link.client.subscribe(inbox.clone()).await;
    let mut inbound = subscribed.map_err(|error| Error::of("listening for jobs", error))?;
    let mut connections = state.link.connections.clone();
    let mut barrier = state.barrier.subscribe();
    let mut stop = state.stop.clone();
    let mut is_asked = false;
    loop {
        if *stop.borrow() || *barrier.borrow() {
            break;
        }
        if !is_asked {
            connections.mark_unchanged();
            ask(state, Queue::Jobs, &inbox, true).await?;
            is_asked = true;
        }
        tokio::select! {
            message = inbound.next() => {
                let message = message.ok_or_else(|| Error::new("no jobs are heard of any more"))?;
                match answer(state, message) {
                    Answer::Job(message) => {
                        chunk::handle(state, slot, Queue::Jobs, *message).await;
                        is_asked = false;
                    }
                    Answer::Nothing => is_asked = false,
                    Answer::Away => {
                        pause(state).await;
                        is_asked = false;
                    }
                    Answer::Other => {}
                }
            }
            // What was asked for is forgotten with the connection.
            _ = connections.changed() => is_asked = false,
            // The answer to what was asked for may get lost.
            () = tokio::time::sleep(EXPIRES + LAST), if is_asked => is_asked = false,
            () = until(&mut stop, true) => {}
            () = until(&mut barrier, true) => {}
        }
    }
    if !is_asked {
        return Ok(());
    }
    // A job may be on its way, which nobody else would get before its lease is over.
    let drained = inbound.drain().await;
    drained.map_err(|error| Error::of("listening for jobs", error))?;
    while let Ok(Some(message)) = timeout(LAST, inbound.next()).await {
        if let Answer::Job(message) = answer(state, message) {
            match state.is_stopped() {
                true => chunk::give_back(state, &message).await,
                false => chunk::handle(state, slot, Queue::Jobs, *message).await,
            }
        }
    }
    Ok(())
}

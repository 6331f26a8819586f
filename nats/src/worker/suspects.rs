//! Suspects: what was under way when its worker fell silent runs alone, with nothing beside it in this process
//! that it could take along.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::names::{self, Queue};
use crate::worker::pull::{self, Answer};
use crate::worker::{Slot, State, chunk, until};

/// How often to look whether there are some; their runs also say so.
const LOOK: Duration = Duration::from_secs(5);

/// How long the server may take to say that there is none.
const ANSWER: Duration = Duration::from_secs(5);

/// What of a consumer counts.
#[derive(Deserialize)]
struct Info {
    num_pending: u64,
}

/// Runs suspects as long as the worker serves.
pub(super) async fn run(state: Arc<State>, slot: Arc<Mutex<Slot>>) {
    let mut woken = state.woken.subscribe();
    let mut stop = state.stop.clone();
    loop {
        tokio::select! {
            () = until(&mut stop, true) => return,
            _ = woken.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        if !are_there(&state).await {
            continue;
        }
        state.barrier.send_replace(true);
        // All slots have ended what they did.
        let alone = state.idle.write().await;
        {
            let mut slot = slot.lock().await;
            while !state.is_stopped() && run_one(&state, &mut slot).await {}
        }
        state.barrier.send_replace(false);
        drop(alone);
    }
}

async fn are_there(state: &State) -> bool {
    let (stream, consumer) = (names::SUSPECT, state.crew.consumer());
    let subject = format!("$JS.API.CONSUMER.INFO.{stream}.{consumer}");
    let answer = state.link.client.request(subject, Bytes::new()).await;
    let info = answer.map(|answer| serde_json::from_slice::<Info>(&answer.payload));
    matches!(info, Ok(Ok(info)) if info.num_pending > 0)
}

/// Runs one, if there is one.
async fn run_one(state: &Arc<State>, slot: &mut Slot) -> bool {
    let inbox = state.link.client.new_inbox();
    let Ok(mut inbound) = state.link.client.subscribe(inbox.clone()).await else {
        return false;
    };
    if pull::ask(state, Queue::Suspects, &inbox, false)
        .await
        .is_err()
    {
        return false;
    }
    while let Ok(Some(message)) = timeout(ANSWER, inbound.next()).await {
        match pull::answer(state, message) {
            Answer::Job(message) => {
                chunk::handle(state, slot, Queue::Suspects, *message).await;
                return true;
            }
            Answer::Nothing | Answer::Away => return false,
            Answer::Other => {}
        }
    }
    false
}

//! What should have come and didn't: messages get lost with a connection, servers forget what they have
//! acknowledged when the power fails. So what nothing was heard of for a while is looked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::PullConsumer;

use crate::names::{self, Queue};
use crate::session::book::Chunk;
use crate::session::{Shared, flow};
use crate::streams::{self, RENEWED};

/// How often to look.
const LOOK: Duration = Duration::from_millis(500);

/// How long nothing is to have been heard of a chunk, in leases.
const LEASES: u32 = 3;

/// The most to look for at a time.
const AT_ONCE: usize = 64;

/// Looks, and shows that the run is on, as long as it is.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut connections = shared.link.connections.clone();
    connections.mark_unchanged();
    let mut shown = Instant::now();
    loop {
        let is_new = tokio::select! {
            () = tokio::time::sleep(LOOK) => false,
            changed = connections.changed() => changed.is_ok(),
        };
        if is_new || shown.elapsed() >= RENEWED {
            if is_new {
                // What a server has forgotten is made again.
                let _ = streams::ensure(&shared.link).await;
                let _ = streams::ensure_crew(&shared.link, &shared.crew, shared.lease).await;
            }
            let from = {
                let book = shared.book();
                book.batch + u64::from(book.is_cancelled)
            };
            if flow::show(&shared, from).await.is_ok() {
                shown = Instant::now();
            }
        }
        let stale = shared.book().stale(shared.lease * LEASES);
        for name in stale.iter().take(AT_ONCE) {
            look(&shared, name).await;
        }
        if !stale.is_empty() {
            flow::wake(&shared).await;
        }
    }
}

/// Looks for a chunk that nothing was heard of.
async fn look(shared: &Arc<Shared>, name: &str) {
    let (batch, chunk) = {
        let book = shared.book();
        let Some(chunk) = book.get(name) else { return };
        (book.batch, chunk.clone())
    };
    let result = names::result(&shared.run, batch, name);
    if let Ok(Some(found)) = shared.link.last(names::RESULTS, &result).await {
        // Its place is that in the stream, not that of the answer.
        flow::take_result(shared, &result, &found.payload).await;
        return;
    }
    let job = shared.crew.job(chunk.queue, &shared.run, batch, name);
    match shared.link.last(chunk.queue.stream(), &job).await {
        // It is gone, and has no result: on the condition that this is still so, it is sent again.
        Ok(None) => flow::send(Arc::clone(shared), batch, name.to_owned(), chunk).await,
        Ok(Some(_)) if was_delivered(shared, &chunk).await => {
            flow::fell_silent(shared, name).await;
        }
        // It waits.
        _ => {}
    }
}

/// Whether the server has given it to a worker.
async fn was_delivered(shared: &Shared, chunk: &Chunk) -> bool {
    let Some(sequence) = chunk.sequence else {
        return false;
    };
    let (consumer, queue): (_, Queue) = (shared.crew.consumer(), chunk.queue);
    let context = &shared.link.context;
    let found = context
        .get_consumer_from_stream(consumer, queue.stream())
        .await;
    let Ok(found): Result<PullConsumer, _> = found else {
        return false;
    };
    found.cached_info().delivered.stream_sequence >= sequence
}

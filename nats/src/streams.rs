//! What has to be there on the server.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::kv;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use crate::error::Error;
use crate::link::Link;
use crate::names::{self, Crew, Queue};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Entries of workers and runs that aren't renewed for so long are gone.
pub(crate) const GONE_AFTER: Duration = Duration::from_secs(60);

/// How often they are renewed.
pub(crate) const RENEWED: Duration = Duration::from_secs(20);

/// What nobody pulls from for so long is gone: the next run makes it again.
const UNUSED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

fn stream(name: &str, subjects: &str) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec![subjects.to_owned()],
        storage: StorageType::File,
        allow_direct: true,
        ..Config::default()
    }
}

/// Makes what isn't there. What is there stays as it is: its operator may want more copies of it.
///
/// # Errors
/// If the server doesn't do so.
pub(crate) async fn ensure(link: &Link) -> Result<(), Error> {
    let queue = |queue: Queue, subjects| Config {
        retention: RetentionPolicy::WorkQueue,
        ..stream(queue.stream(), subjects)
    };
    let all = [
        queue(Queue::Jobs, "mf.job.>"),
        queue(Queue::Suspects, "mf.suspect.>"),
        Config {
            max_age: 7 * DAY,
            max_messages: 10_000,
            ..stream(names::DEAD, "mf.dead.>")
        },
        Config {
            max_age: DAY,
            // One result for each chunk, whatever a worker does.
            max_messages_per_subject: 1,
            discard: DiscardPolicy::New,
            discard_new_per_subject: true,
            ..stream(names::RESULTS, "mf.result.>")
        },
        Config {
            max_age: 7 * DAY,
            max_messages_per_subject: 1,
            ..stream(names::BLOBS, "mf.blob.>")
        },
    ];
    for config in all {
        let name = config.name.clone();
        let made = link.context.get_or_create_stream(config).await;
        made.map_err(|error| Error::of(&format!("the stream `{name}`"), error))?;
    }
    for bucket in [names::RUNS, names::WORKERS] {
        if link.context.get_key_value(bucket).await.is_ok() {
            continue;
        }
        let made = link.context.create_key_value(kv::Config {
            bucket: bucket.to_owned(),
            max_age: GONE_AFTER,
            storage: StorageType::File,
            ..kv::Config::default()
        });
        made.await
            .map_err(|error| Error::of(&format!("the bucket `{bucket}`"), error))?;
    }
    Ok(())
}

/// Makes what the workers of a pool pull from.
///
/// # Errors
/// If the server doesn't do so.
pub(crate) async fn ensure_crew(link: &Link, crew: &Crew, lease: Duration) -> Result<(), Error> {
    for queue in [Queue::Jobs, Queue::Suspects] {
        let config = pull::Config {
            durable_name: Some(crew.consumer()),
            filter_subject: crew.filter(queue),
            ack_policy: AckPolicy::Explicit,
            ack_wait: lease,
            // What a worker falls silent over isn't delivered again: its run hears of it, and sends suspects.
            max_deliver: 1,
            max_ack_pending: 1_000_000,
            max_waiting: 100_000,
            inactive_threshold: UNUSED,
            ..pull::Config::default()
        };
        let made = link
            .context
            .create_consumer_on_stream(config, queue.stream());
        made.await
            .map_err(|error| Error::of("the consumer of a pool", error))?;
    }
    Ok(())
}

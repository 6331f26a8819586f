//! A connection, and the few requests that both sides make.

use std::time::Duration;

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, StatusCode};
use bytes::Bytes;
use tokio::sync::watch;

use crate::access::Access;
use crate::error::Error;
use crate::sealed::Key;
use crate::{names, sealed};

/// The most that a message of this crate takes, where the server allows for twice as much.
const MAX_MESSAGE: usize = 256 << 10;

/// What the name of a list of parts begins with: once for each list of lists.
const LIST: &str = "list-";

/// The most of them: with messages of a kilobyte, more than a gigabyte.
const MAX_LISTS: usize = 5;

/// How long to wait before the next try, where the server doesn't answer.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) context: Context,
    /// Counts connections.
    pub(crate) connections: watch::Receiver<u64>,
}

/// What came of publishing on the condition that nothing lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// It lies there, with this number.
    Now(u64),
    /// Something lay there already.
    Before,
}

impl Link {
    pub(crate) async fn new(access: &Access, name: String, inbox: &str) -> Result<Link, Error> {
        let (client, connections) = access.connect(name, inbox).await?;
        Ok(Link {
            context: jetstream::new(client.clone()),
            client,
            connections,
        })
    }

    /// The most that a message may take.
    pub(crate) fn max_message(&self) -> usize {
        MAX_MESSAGE.min(self.client.max_payload() / 2)
    }

    /// Publishes on the condition that no message lies at this subject: again, until the server says what came of it,
    /// or until `give_up` says so.
    ///
    /// # Errors
    /// If the server doesn't take it.
    pub(crate) async fn publish_once(
        &self,
        subject: &str,
        payload: Bytes,
        is_first: bool,
        give_up: impl Fn() -> bool,
    ) -> Result<Published, Error> {
        loop {
            let mut message = PublishMessage::build().payload(payload.clone());
            if is_first {
                message = message.expected_last_subject_sequence(0);
            }
            let sent = self.context.send_publish(subject.to_owned(), message).await;
            let ack = match sent {
                Ok(ack) => ack.await,
                Err(error) => Err(error),
            };
            let error = match ack {
                Ok(ack) => return Ok(Published::Now(ack.sequence)),
                Err(error) => error,
            };
            match error.kind() {
                PublishErrorKind::WrongLastSequence => return Ok(Published::Before),
                PublishErrorKind::TimedOut
                | PublishErrorKind::BrokenPipe
                | PublishErrorKind::StreamNotFound
                | PublishErrorKind::MaxAckPending
                    if !give_up() => {}
                _ => return Err(Error::of(&format!("publishing `{subject}`"), error)),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The last message of a stream at a subject, if there is one.
    ///
    /// # Errors
    /// If the server doesn't answer.
    pub(crate) async fn last(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<async_nats::Message>, Error> {
        let request = format!("$JS.API.DIRECT.GET.{stream}.{subject}");
        let answer = self.client.request(request, Bytes::new()).await;
        let answer = answer.map_err(|error| Error::of(&format!("reading `{subject}`"), error))?;
        match answer.status {
            Some(StatusCode::NOT_FOUND) => Ok(None),
            None | Some(StatusCode::OK) => Ok(Some(answer)),
            Some(status) => Err(Error::of(&format!("reading `{subject}`"), status)),
        }
    }

    /// Stores bytes of a run, sealed, in parts that fit into messages; the answer is what they are called.
    ///
    /// # Errors
    /// If the server doesn't take them.
    pub(crate) async fn put_blob(
        &self,
        run: &str,
        key: &Key,
        bytes: &[u8],
    ) -> Result<String, Error> {
        // Room for what sealing adds.
        let most = self.max_message() - 64;
        let mut bytes = bytes.to_vec();
        let mut prefix = String::new();
        while bytes.len() > most {
            let mut names = String::new();
            for part in bytes.chunks(most) {
                names.push_str(&self.put_part(run, key, part).await?);
            }
            // A list of parts is bytes as well, and shorter by a factor of thousands.
            bytes = names.into_bytes();
            prefix.push_str(LIST);
        }
        let name = self.put_part(run, key, &bytes).await?;
        Ok(prefix + &name)
    }

    async fn put_part(&self, run: &str, key: &Key, part: &[u8]) -> Result<String, Error> {
        // Sealed for the run: its subject has the hash of what is sealed.
        let sealed = key.seal(run, part)?;
        let name = sealed::hash(&sealed);
        let subject = names::blob(run, &name);
        self.publish_once(&subject, sealed.into(), false, || true)
            .await?;
        Ok(name)
    }

    /// What was stored by this name.
    ///
    /// # Errors
    /// If it isn't there, or isn't what the name says.
    pub(crate) async fn blob(&self, run: &str, key: &Key, name: &str) -> Result<Vec<u8>, Error> {
        let (mut name, mut lists) = (name, 0);
        while let Some(list) = name.strip_prefix(LIST) {
            (name, lists) = (list, lists + 1);
        }
        if lists > MAX_LISTS {
            return Err(Error::new("a blob has too many lists of parts"));
        }
        let mut bytes = self.part(run, key, name).await?;
        for _ in 0..lists {
            let names = std::mem::take(&mut bytes);
            for name in names.chunks(64) {
                let name = String::from_utf8_lossy(name);
                bytes.extend(self.part(run, key, &name).await?);
            }
        }
        Ok(bytes)
    }

    async fn part(&self, run: &str, key: &Key, name: &str) -> Result<Vec<u8>, Error> {
        names::check_token("the name of a blob", name)?;
        let found = self.last(names::BLOBS, &names::blob(run, name)).await?;
        let found = found.ok_or_else(|| Error::new(format!("there is no blob `{name}`")))?;
        if sealed::hash(&found.payload) != name {
            return Err(Error::new(format!(
                "the blob `{name}` isn't what its name says"
            )));
        }
        key.open(run, &found.payload)
    }
}

//! Which server, and whose jobs.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use moonfork_nats::{Access, Client, Error, Overview, Run};

use crate::Pool;
use crate::workflow::worker::message::SCHEMA_VERSION;

/// The pool of workers, unless another is named.
pub(crate) const POOL: &str = "default";

/// A server of NATS with JetStream, of version 2.10 or newer, and the pool of workers there: for
/// [`Workers::nats`](crate::workflow::Workers::nats) on the side of a run, and [`Worker`](crate::workflow::nats::Worker) on the other.
#[derive(Clone, Debug)]
#[must_use]
pub struct Nats {
    pub(crate) access: Access,
    pub(crate) pool: Option<String>,
    lease: Option<Duration>,
}

impl Nats {
    /// The server at this address: `nats://HOST:PORT`, or `tls://HOST:PORT`; several with commas between them, of one
    /// cluster. It may hold a user and a password (`nats://USER:PASSWORD@HOST:PORT`); a file is the better place
    /// for them.
    pub fn new(url: impl Into<String>) -> Nats {
        Nats {
            access: Access::new(url),
            pool: None,
            lease: None,
        }
    }

    /// Who asks: a file of credentials, as `nsc` writes them.
    pub fn credentials(mut self, file: impl Into<PathBuf>) -> Nats {
        self.access = self.access.credentials(file);
        self
    }

    /// Trusts the authorities in this PEM file, besides those that the system trusts, to say who a server is.
    pub fn trust(mut self, file: impl Into<PathBuf>) -> Nats {
        self.access = self.access.trust(file);
        self
    }

    /// Shows the server this certificate, of which that is the key; both are PEM files.
    pub fn certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Nats {
        self.access = self.access.certificate(certificate, key);
        self
    }

    /// The pool of workers, in place of `default`: letters, digits, `_` and `-`. One that a workflow names comes first.
    pub fn pool(mut self, name: impl Into<String>) -> Nats {
        self.pool = Some(name.into());
        self
    }

    /// How long a worker may fall silent before what it runs is given to others, in place of ten seconds; from one second
    /// on. It counts for runs. A worker says every third of it that it is there, whatever its branches do.
    pub fn lease(mut self, lease: Duration) -> Nats {
        self.lease = Some(lease);
        self
    }

    /// Who is there, busy with what, and what was given up. The streams are made that aren't there.
    ///
    /// # Errors
    /// If there is no server, or it doesn't answer.
    pub fn overview(&self) -> Result<Overview, Error> {
        Client::connect(&self.access)?.overview()
    }
}

/// A server that runs send branches to.
pub(crate) struct Queue {
    nats: Nats,
    client: Mutex<Option<Client>>,
}

impl Queue {
    pub(crate) fn new(nats: Nats) -> Queue {
        Queue {
            nats,
            client: Mutex::default(),
        }
    }

    /// The connection, which is made when it is first asked for.
    ///
    /// # Errors
    /// If there can't be one.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        match &*client {
            Some(client) => Ok(client.clone()),
            None => Ok(client.insert(Client::connect(&self.nats.access)?).clone()),
        }
    }

    /// What is to run, on workers of the pool that the workflow names, or else of that which was named here.
    pub(crate) fn run(&self, pool: Option<&str>, version: String) -> Run {
        let pool = pool.or(self.nats.pool.as_deref()).unwrap_or(POOL);
        let run = Run::new(pool, version);
        match self.nats.lease {
            Some(lease) => run.lease(lease),
            None => run,
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nats.fmt(f)
    }
}

/// What has to be the same on both sides: the messages, and the guest that the branches run in.
pub(crate) fn version(pool: &Pool) -> String {
    let library = env!("CARGO_PKG_VERSION").replace('.', "_");
    let guest = pool.guest_sha256().get(..12).unwrap_or_default();
    format!("{SCHEMA_VERSION}-{library}-{guest}")
}

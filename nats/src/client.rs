//! The side that has jobs.

use std::fmt;
use std::sync::Arc;

use crate::access::Access;
use crate::error::Error;
use crate::io::Io;
use crate::link::Link;
use crate::overview::{self, Overview};
use crate::session::{Run, Session};
use crate::{names, sealed, streams};

/// A connection to a server, with the streams made that aren't there. It ends with its last clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    access: Access,
    io: Io,
    link: Link,
}

impl Client {
    /// Connects. A connection that is lost later is made again, as long as that takes.
    ///
    /// # Errors
    /// If there is no server, it is older than 2.10, has no JetStream, or doesn't let this side make streams.
    pub fn connect(access: &Access) -> Result<Client, Error> {
        let io = Io::start()?;
        let to = access.clone();
        let link = io.wait(async move {
            let inbox = format!("{}.{}", names::OWN_INBOX, sealed::random_name()?);
            let link = Link::new(&to, "moonfork".to_owned(), &inbox).await?;
            streams::ensure(&link).await?;
            Ok(link)
        })?;
        Ok(Client(Arc::new(Inner {
            access: access.clone(),
            io,
            link,
        })))
    }

    /// Begins to send jobs, once workers are there that can run them.
    ///
    /// # Errors
    /// If there are none of that pool and version: the message says which there are. Nothing was sent then.
    pub fn open(&self, run: Run) -> Result<Session, Error> {
        Session::open(self.clone(), run)
    }

    /// Who is there, busy with what, and what has been given up.
    ///
    /// # Errors
    /// If the server doesn't answer.
    pub fn overview(&self) -> Result<Overview, Error> {
        let link = self.link().clone();
        self.io().wait(async move { overview::read(&link).await })
    }

    pub(crate) fn io(&self) -> &Io {
        &self.0.io
    }

    pub(crate) fn link(&self) -> &Link {
        &self.0.link
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.access).finish()
    }
}

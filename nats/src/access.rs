//! Where a server is, and who asks.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::{ConnectOptions, Event, ServerAddr};
use tokio::sync::watch;

use crate::error::Error;

/// The oldest server that is understood: older ones take settings that they don't know, and ignore them.
const OLDEST: (u64, u64) = (2, 10);

/// How long a request may take; the server answers in milliseconds, or is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a server of NATS is, and who asks: what both sides, the run and its workers, begin with.
///
/// ```
/// use moonfork_nats::Access;
/// let access = Access::new("tls://queue.example.org:4222").credentials("worker.creds");
/// # let _ = access;
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct Access {
    url: String,
    credentials: Option<PathBuf>,
    roots: Vec<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
}

impl Access {
    /// The server at this address: `nats://HOST:PORT`, or `tls://HOST:PORT`, several with commas between them. It may
    /// hold a user and a password (`nats://USER:PASSWORD@HOST:PORT`); a file is the better place for them.
    pub fn new(url: impl Into<String>) -> Access {
        Access {
            url: url.into(),
            credentials: None,
            roots: Vec::new(),
            certificate: None,
        }
    }

    /// Who asks: a file of credentials, as `nsc` writes them.
    pub fn credentials(mut self, file: impl Into<PathBuf>) -> Access {
        self.credentials = Some(file.into());
        self
    }

    /// Trusts the authorities in this PEM file, too, to say who a server is.
    pub fn trust(mut self, file: impl Into<PathBuf>) -> Access {
        self.roots.push(file.into());
        self
    }

    /// Shows the server this certificate, of which that is the key; both are PEM files.
    pub fn certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Access {
        self.certificate = Some((certificate.into(), key.into()));
        self
    }

    /// The address without the password in it.
    pub(crate) fn shown(&self) -> String {
        let shown = self.url.split(',').map(|url| match url.rsplit_once('@') {
            Some((before, host)) => match before.split_once("://") {
                Some((scheme, _)) => format!("{scheme}://{host}"),
                None => host.to_owned(),
            },
            None => url.to_owned(),
        });
        shown.collect::<Vec<_>>().join(",")
    }

    /// Connects. What the answer watches counts connections, so that what was lost with one can be done again.
    ///
    /// # Errors
    /// If there is no server, it is too old, or doesn't let in who asks.
    pub(crate) async fn connect(
        &self,
        name: String,
        inbox: &str,
    ) -> Result<(async_nats::Client, watch::Receiver<u64>), Error> {
        let (sender, connections) = watch::channel(0_u64);
        let mut options = ConnectOptions::new()
            .name(name)
            .custom_inbox_prefix(inbox)
            .request_timeout(Some(PATIENCE))
            .reconnect_delay_callback(|attempts| {
                let doubled = 20_u64.saturating_mul(1 << attempts.min(6));
                Duration::from_millis(doubled.min(1000))
            })
            .event_callback(move |event| {
                if matches!(event, Event::Connected) {
                    sender.send_modify(|count| *count += 1);
                }
                std::future::ready(())
            });
        for file in &self.roots {
            options = options.add_root_certificates(file.clone());
        }
        if let Some((certificate, key)) = &self.certificate {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        if let Some(file) = &self.credentials {
            let with = options.credentials_file(file).await;
            options = with.map_err(|error| {
                Error::of(&format!("the credentials in `{}`", file.display()), error)
            })?;
        }
        let shown = self.shown();
        let urls: Result<Vec<ServerAddr>, _> = self.url.split(',').map(str::parse).collect();
        let urls = urls.map_err(|error| Error::of(&format!("the address `{shown}`"), error))?;
        // Those of one cluster have the same users.
        let user = urls.iter().find(|url| url.has_user_pass());
        if let Some(user) = user.and_then(|url| Some((url.username()?, url.password()?))) {
            options = options.user_and_password(user.0.to_owned(), user.1.to_owned());
        }
        let client = options.connect(urls).await;
        let client =
            client.map_err(|error| Error::of(&format!("no connection to `{shown}`"), error))?;
        check_version(&shown, &client.server_info().version)?;
        Ok((client, connections))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Access").field(&self.shown()).finish()
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

fn check_version(server: &str, version: &str) -> Result<(), Error> {
    let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
    let found = (numbers.next().flatten(), numbers.next().flatten());
    match found {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST => Ok(()),
        _ => Err(Error::new(format!(
            "the server at `{server}` is of version {version}, and {}.{} or newer is needed",
            OLDEST.0, OLDEST.1
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_2_10_or_newer_will_do() {
        for version in ["2.10.0", "2.15.1", "2.10.0-beta.1", "3.0.0"] {
            assert_eq!(check_version("x", version), Ok(()), "{version}");
        }
        for version in ["2.9.10", "1.99.0", "", "two"] {
            let error = check_version("x", version).expect_err(version).to_string();
            assert!(error.contains("2.10 or newer is needed"), "{error}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let access = Access::new("nats://me:secret@one:4222,tls://two,me:secret@three");
        assert_eq!(access.shown(), "nats://one:4222,tls://two,three");
        assert!(!format!("{access:?} {access}").contains("secret"));
    }
}

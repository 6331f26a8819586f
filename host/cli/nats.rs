//! A server of NATS: where it is, and who asks.

use std::path::PathBuf;

use moonfork::workflow::nats::Nats;

use super::end::Mistake;

/// Who asks a server of NATS.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct NatsArgs {
    /// Who asks: a file of credentials, as `nsc` writes them.
    #[arg(long, value_name = "FILE")]
    nats_creds: Option<PathBuf>,

    /// Authorities to trust besides the system's, to say who the server is: a PEM file.
    #[arg(long, value_name = "FILE")]
    nats_ca: Option<PathBuf>,

    /// A certificate to show the server: a PEM file, like its key.
    #[arg(long, value_name = "FILE", requires = "nats_key")]
    nats_cert: Option<PathBuf>,

    /// The key of that certificate.
    #[arg(long, value_name = "FILE", requires = "nats_cert")]
    nats_key: Option<PathBuf>,
}

impl NatsArgs {
    /// The server at this address.
    pub(super) fn nats(&self, url: &str) -> Nats {
        let mut nats = Nats::new(url);
        if let Some(file) = &self.nats_creds {
            nats = nats.credentials(file);
        }
        if let Some(file) = &self.nats_ca {
            nats = nats.trust(file);
        }
        if let (Some(certificate), Some(key)) = (&self.nats_cert, &self.nats_key) {
            nats = nats.certificate(certificate, key);
        }
        nats
    }

    /// Refuses what is said of a server where there is none.
    ///
    /// # Errors
    /// If anything is.
    pub(super) fn check_unused(&self) -> anyhow::Result<()> {
        let files = [&self.nats_creds, &self.nats_ca, &self.nats_cert];
        match files.iter().any(|file| file.is_some()) {
            true => Err(Mistake::error(
                "--nats-creds, --nats-ca and --nats-cert are for a server of NATS, and there is none",
            )),
            false => Ok(()),
        }
    }
}

/// An address, as it is written on the command line.
pub(super) fn url(text: &str) -> Result<String, String> {
    let is_url = ["nats://", "tls://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    match is_url {
        true => Ok(text.to_owned()),
        false => Err("write `nats://HOST:PORT`, or `tls://HOST:PORT`".to_owned()),
    }
}

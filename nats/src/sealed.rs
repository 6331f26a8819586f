//! Results and blobs as they lie on the server: sealed with a key that a run hands out with its jobs.
//!
//! Whoever may read a message of a stream by its subject may put a `*` into that subject, and gets the last
//! one that fits: permissions can't keep workers from reading what belongs to runs that they have nothing to do with.
//! This does.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

use crate::error::Error;

const KEY: usize = 32;

/// The key of a run.
#[derive(Clone)]
pub(crate) struct Key {
    bytes: [u8; KEY],
    key: LessSafeKey,
}

impl Key {
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn random() -> Result<Key, Error> {
        Key::new(random()?)
    }

    /// One that came with a job.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Key, Error> {
        let bytes = <[u8; KEY]>::try_from(bytes);
        Key::new(bytes.map_err(|_| Error::new("a job has no key"))?)
    }

    fn new(bytes: [u8; KEY]) -> Result<Key, Error> {
        let key = UnboundKey::new(&AES_256_GCM, &bytes);
        let key = LessSafeKey::new(key.map_err(|_| Error::new("a key isn't one"))?);
        Ok(Key { bytes, key })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Seals this for a subject, where alone it can be opened.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn seal(&self, subject: &str, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + bytes.len() + AES_256_GCM.tag_len());
        sealed.extend(nonce);
        sealed.extend(bytes);
        let tag = self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(subject.as_bytes()),
            &mut sealed[NONCE_LEN..],
        );
        sealed.extend(tag.map_err(|_| Error::new("it can't be sealed"))?.as_ref());
        Ok(sealed)
    }

    /// What was sealed for this subject.
    ///
    /// # Errors
    /// If it wasn't, or has been changed.
    pub(crate) fn open(&self, subject: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let refuse = || Error::new(format!("what lies at `{subject}` wasn't sealed for it"));
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or_else(refuse)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| refuse())?;
        let mut bytes = rest.to_vec();
        let aad = Aad::from(subject.as_bytes());
        let opened = self.key.open_in_place(nonce, aad, &mut bytes);
        let len = opened.map_err(|_| refuse())?.len();
        bytes.truncate(len);
        Ok(bytes)
    }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::new("the system has no random numbers"))?;
    Ok(bytes)
}

/// A name that nobody guesses.
///
/// # Errors
/// If the system has no random numbers.
pub(crate) fn random_name() -> Result<String, Error> {
    Ok(hex(&random::<16>()?))
}

/// The SHA-256 of bytes, as text.
pub(crate) fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_at_its_subject_alone() {
        let key = Key::random().expect("random numbers");
        let sealed = key.seal("a.b", b"text").expect("it is small");
        assert_eq!(key.open("a.b", &sealed).as_deref(), Ok(&b"text"[..]));
        let again = Key::from_bytes(key.bytes()).expect("a key");
        assert_eq!(again.open("a.b", &sealed).as_deref(), Ok(&b"text"[..]));
        assert!(key.open("a.c", &sealed).is_err());
        let other = Key::random().expect("random numbers");
        assert!(other.open("a.b", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open("a.b", &changed).is_err(), "{at}");
            assert!(key.open("a.b", &sealed[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn the_same_is_never_sealed_the_same() {
        let key = Key::random().expect("random numbers");
        let seal = || key.seal("a", b"text").expect("it is small");
        assert_ne!(seal(), seal());
    }
}

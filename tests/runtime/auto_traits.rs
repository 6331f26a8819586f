//! Which types may go to other threads, and be used from several: said when this is compiled.
//!
//! What must not compile because of a borrow is in the documentation of the types, as examples that
//! have to fail.

use moonfork::plugin::{PluginHost, Tenant};
use moonfork::workflow::Workflow;
use moonfork::{
    Branch, Cancel, Chunk, Error, Folder, Grants, HostCall, Limits, Main, Pool, PoolBuilder,
    Report, RunMain, RunOptions, Runtime, Wait,
};

/// Compiles for types that are both alone.
const fn send_and_sync<T: Send + Sync>() {}

/// Compiles for types that may be sent.
const fn send<T: Send>() {}

/// Compiles for types that may not be sent: for others, which of the two is meant can't be told.
macro_rules! not_send {
    ($($name:ident: $type:ty),+) => {
        $(const $name: fn() = || {
            trait Ambiguous<A> {
                fn is_not_send() {}
            }
            impl<T> Ambiguous<()> for T {}
            impl<T: Send> Ambiguous<u8> for T {}
            <$type as Ambiguous<_>>::is_not_send();
        };)+
    };
}

not_send!(MAIN: Main, RUNTIME: Runtime);

#[test]
fn types_that_threads_share() {
    send_and_sync::<Pool>();
    send_and_sync::<PoolBuilder>();
    send_and_sync::<RunOptions>();
    send_and_sync::<Wait>();
    send_and_sync::<Grants>();
    send_and_sync::<Limits>();
    send_and_sync::<Chunk>();
    send_and_sync::<Folder>();
    send_and_sync::<Cancel>();
    send_and_sync::<HostCall>();
    send_and_sync::<Error>();
    send_and_sync::<Report>();
    send_and_sync::<Workflow>();
    send_and_sync::<PluginHost>();
    send_and_sync::<Tenant>();
}

#[test]
fn instances_that_go_from_thread_to_thread() {
    send::<Branch>();
    send::<RunMain>();
}

#[test]
fn instances_that_stay_where_they_are() {
    MAIN();
    RUNTIME();
}

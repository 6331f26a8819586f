//! Jobs by way of a real server of NATS. Where there is no program for one, a line says so.

mod blobs;
mod cancel;
mod given_back;
mod jobs;
mod leases;
mod old_server;
mod permissions;
mod present;
mod sabotage;
#[path = "../../../tests/common/nats_server.rs"]
mod server;
mod side;
mod together;

//! What doesn't fit into a message.

use std::time::Duration;

use crate::server::Server;
use crate::side::{self, Serving, worker};

/// Bytes that don't get smaller by being squeezed.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        // Knuth's multiplier.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn large_items_ends_and_blobs_come_as_they_were() {
    // The limit is that of the server: half of it is used.
    let Some(server) = Server::start_with("max_payload: 64KB") else {
        return;
    };
    let _worker = Serving::start(worker(&server, 1), |task| {
        let name = std::str::from_utf8(task.common()).expect("text");
        let blob = task.blob(name).expect("it is there");
        while let Some((key, item)) = task.next_item() {
            assert_eq!(*item, blob);
            task.end(key, [item.as_ref(), b"end"].concat());
        }
    });
    let session = side::open(&server, Duration::from_secs(10));
    for len in [0, 1, 30_000, 100_000, 3_000_000] {
        let bytes = noise(len);
        let name = session.put_blob(bytes.clone()).expect("it is stored");
        session.send(name, vec![(len as u64, bytes.clone().into())]);
        let end = loop {
            match session.wait(Some(Duration::from_secs(60))) {
                Some(moonfork_nats::Update::End { end, .. }) => break end,
                Some(moonfork_nats::Update::Broken(why)) => panic!("{why}"),
                Some(_) => {}
                None => panic!("nothing comes of {len} bytes"),
            }
        };
        assert!(end == [&bytes, &b"end"[..]].concat(), "{len}");
    }
}

#[test]
fn a_blob_that_is_not_there_is_said_not_to_be() {
    let Some(server) = Server::start() else {
        return;
    };
    let _worker = Serving::start(worker(&server, 1), |task| {
        let errors = [
            "0".repeat(64),
            "*".to_owned(),
            "a.b".to_owned(),
            "list-".repeat(100_000),
        ]
        .map(|name| task.blob(&name).expect_err("there is none").to_string());
        while let Some((key, _)) = task.next_item() {
            task.end(key, errors.join("; "));
        }
    });
    let session = side::open(&server, Duration::from_secs(10));
    session.send("", vec![(0, "".into())]);
    let got = side::collect(&session, 1);
    assert!(
        got.ends[&0].contains("there is no blob `000"),
        "{}",
        got.ends[&0]
    );
    assert!(got.ends[&0].contains("`*` can't be"), "{}", got.ends[&0]);
}

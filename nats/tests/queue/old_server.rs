//! Servers that can't be used.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use moonfork_nats::{Access, Client};

use crate::server::Server;
use crate::side;

/// A server that says it is of this version, and knows nothing else, for one client.
fn server_of(version: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("nats://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let info = format!(
            "INFO {{\"server_id\":\"x\",\"version\":\"{version}\",\"proto\":1,\"headers\":true,\"max_payload\":1048576}}\r\n"
        );
        stream.write_all(info.as_bytes()).expect("it listens");
        let lines = BufReader::new(stream.try_clone().expect("the same"));
        for line in lines.lines().map_while(Result::ok) {
            if line.starts_with("PING") && stream.write_all(b"PONG\r\n").is_err() {
                return;
            }
        }
    });
    url
}

#[test]
fn one_before_2_10_is_refused_with_a_sentence() {
    let url = server_of("2.9.10");
    let error = Client::connect(&Access::new(&url)).expect_err("it is too old");
    let expected =
        format!("the server at `{url}` is of version 2.9.10, and 2.10 or newer is needed");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn where_there_is_none_that_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("nats://{}", listener.local_addr().expect("its address"));
    drop(listener);
    let error = Client::connect(&Access::new(&url)).expect_err("there is none");
    let expected = format!("no connection to `{url}`");
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn credentials_that_are_not_there_are_said_not_to_be() {
    let Some(server) = Server::start() else {
        return;
    };
    let access = side::access(&server).credentials("/there/is/none.creds");
    let error = Client::connect(&access)
        .expect_err("there are none")
        .to_string();
    assert!(
        error.starts_with("the credentials in `/there/is/none.creds`"),
        "{error}"
    );
}

//! A socket that is handed over never becomes standard input, output or error, where a program has closed one of them.

use std::os::fd::AsRawFd;

use super::{child, role};
use crate::net::close_raw;
use crate::net::socket::duplicate;

#[test]
fn a_shared_socket_takes_no_number_of_a_standard_stream() {
    if role().is_some() {
        // Alone in its process, which reads nothing.
        close_raw(0);
        let own = duplicate(1).unwrap();
        assert!(own.as_raw_fd() > 2, "{own:?}");
        println!("stands behind them");
        return;
    }
    let name = "net::tests::standard::a_shared_socket_takes_no_number_of_a_standard_stream";
    let output = child(name, "closed").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("stands behind them"), "{told}");
}

//! Prints how many allocations mailwire's client does for a message in steady state, and of how many octets, for each way to send:
//! the difference between many messages and twice as many. A listener of the contract of `bench_programs.py` must be there.
//!
//!     bench-allocations --port P --messages N [--size BYTES]

use std::error::Error;

use allocation_counter::{AllocationInfo, measure};
use mailwire::blocking::{self, Call};
use mailwire::client::{self, Connection, Content};
use mailwire::proto::Envelope;
use mailwire_bench::{Arguments, client_options, message};
use tokio::runtime::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let messages = arguments.number("messages", 1000)?;
    let message = message(usize::try_from(arguments.number("size", 1024)?)?);
    let message = message.as_slice();
    let options = client_options(&arguments)?;
    let envelope = Envelope::parse("from@example.org", ["to@example.net"])?;
    let many = |count| (0..count).map(|_| (envelope.clone(), Content::bytes(message)));
    let runtime = Builder::new_current_thread().enable_all().build()?;

    let mut connection = runtime.block_on(Connection::open(&options))?;
    let mut sent = Sent::default();
    print("connection, send", messages, &mut |count| {
        for _ in 0..count {
            let sending = connection.send(envelope.clone(), Content::bytes(message));
            sent.see(runtime.block_on(sending));
        }
    });
    let mut connection = runtime.block_on(Connection::open(&options))?;
    print("connection, send_many", messages, &mut |count| {
        let mut each = |_, result| sent.see(result);
        runtime.block_on(connection.send_many(&mut many(count), &mut each));
    });
    let tasks = client::Client::new(options.clone())?;
    print("async client, send", messages, &mut |count| {
        for _ in 0..count {
            sent.see(runtime.block_on(tasks.send(&envelope, Content::bytes(message))));
        }
    });
    print("async client, send_many", messages, &mut |count| {
        sent.see(runtime.block_on(tasks.send_many(many(count), |_, _| {})));
    });
    let threads = blocking::Client::new(options)?;
    print("blocking client, send", messages, &mut |count| {
        for _ in 0..count {
            sent.see(threads.send(&envelope, Content::bytes(message), Call::default()));
        }
    });
    print("blocking client, send_many", messages, &mut |count| {
        sent.see(threads.send_many(many(count), Call::default(), |_, _| {}));
    });
    runtime.block_on(async { drop(tasks) });
    sent.failure.map_or(Ok(()), |error| Err(error.into()))
}

/// Keeps the first failure.
#[derive(Default)]
struct Sent {
    failure: Option<mailwire::Error>,
}

impl Sent {
    fn see<T>(&mut self, result: Result<T, mailwire::Error>) {
        if let Err(error) = result {
            self.failure.get_or_insert(error);
        }
    }
}

/// Warms up, and prints a line of JSON: what so many messages more allocate, for each of them.
fn print(way: &str, messages: u64, send: &mut dyn FnMut(u64)) {
    send(messages);
    let few = measure(|| send(messages));
    let many = measure(|| send(2 * messages));
    let each = |of: fn(&AllocationInfo) -> u64| {
        #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let each = of(&many).saturating_sub(of(&few)) as f64 / messages as f64;
        each
    };
    println!(
        "{{\"way\":\"{way}\",\"allocations\":{:.3},\"octets\":{:.1}}}",
        each(|info| info.count_total),
        each(|info| info.bytes_total)
    );
}

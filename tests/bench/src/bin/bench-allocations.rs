//! Prints how many allocations mailwire does for a message in steady state, and of how many octets: the client for each way to send,
//! and the listener for each way to be sent to. It is the difference between many messages and twice as many. A listener of the
//! contract of `bench_programs.py` must be there for the client.
//!
//!     bench-allocations --port P --messages N [--size BYTES]

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use allocation_counter::{AllocationInfo, measure};
use mailwire::blocking::{self, Call};
use mailwire::client::{self, Connection, Content};
use mailwire::proto::Envelope;
use mailwire::server::{Answers, Body, Handler, Hooks, Server, Session, SessionInfo};
use mailwire_bench::{Arguments, client_options, message, server_options};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

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
    if let Some(error) = sent.failure {
        return Err(error.into());
    }
    listener(messages, message)
}

/// The same for the listener, on this thread; what the sender allocates, on another, is not counted.
fn listener(messages: u64, message: &[u8]) -> Result<(), Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut options = server_options(&Arguments::none())?;
    options.set_hooks(Hooks::NONE);
    let server = {
        let _entered = runtime.enter();
        Server::bind(options)?
    };
    let address = *server.addresses().first().ok_or("no address")?;
    runtime.spawn(server.serve_until(Drain, std::future::pending()));
    for (way, writes) in [
        ("listener, message by message", 4),
        ("listener, chained pipelining", 1),
    ] {
        let mut failure = None;
        print(way, messages, &mut |count| {
            let (done, ended) = oneshot::channel();
            let message = message.to_vec();
            thread::spawn(move || done.send(send(address, count, writes, &message)));
            let sent = runtime.block_on(ended);
            let sent = sent.unwrap_or_else(|_| Err(io::Error::other("a thread panicked")));
            failure = failure.take().or(sent.err());
        });
        if let Some(error) = failure {
            return Err(error.into());
        }
    }
    Ok(())
}

/// Sends messages over one connection, each in so many writes, of which each but the last has one reply.
fn send(address: SocketAddr, count: u64, writes: usize, message: &[u8]) -> io::Result<()> {
    const REPLIES: usize = 4;
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut replies = BufReader::new(stream.try_clone()?).lines();
    let mut expect = |count: usize| {
        for _ in 0..count {
            match replies.next().transpose()? {
                Some(line) if line.starts_with(['2', '3']) => {}
                _ => return Err(io::Error::other("a message was refused")),
            }
        }
        Ok(())
    };
    expect(1)?;
    stream.write_all(b"HELO client.example\r\n")?;
    expect(1)?;
    let mut lines: Vec<&[u8]> = vec![
        b"MAIL FROM:<from@example.org>\r\n",
        b"RCPT TO:<to@example.net>\r\n",
        b"DATA\r\n",
    ];
    let body = [message, b".\r\n"].concat();
    lines.push(&body);
    let each = REPLIES / writes;
    let writes: Vec<Vec<u8>> = lines.chunks(each).map(<[_]>::concat).collect();
    for _ in 0..count {
        for write in &writes {
            stream.write_all(write)?;
            expect(each)?;
        }
    }
    stream.write_all(b"QUIT\r\n")?;
    expect(1)
}

/// Takes every message and drops it.
struct Drain;

impl Handler for Drain {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        Self
    }
}

impl Session for Drain {
    async fn message(&mut self, _: &SessionInfo, _: Envelope, body: &mut Body<'_>) -> Answers {
        while let Ok(Some(_)) = body.chunk().await {}
        Answers::accept()
    }
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

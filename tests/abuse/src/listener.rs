//! The process of the listener, as it is seen from outside: what it answers, and what the kernel tells of it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use crate::{Outcome, PATIENCE, ensure};

/// Threads that derive keys of passwords end some seconds behind their last work.
const DERIVING: usize = 16;

/// What may be allocated behind an attack and was not before it, in octets: read buffers that threads keep for the next session, and
/// tables that have grown.
pub const KEPT: u64 = 1 << 20;

/// A listener in a process of its own. It is ended when this is dropped.
#[derive(Debug)]
pub struct Listener {
    child: Child,
    tell: Option<ChildStdin>,
    answers: Receiver<String>,
    folder: TempDir,
    /// Where its servers listen, in the order of the groups.
    pub addresses: Vec<SocketAddr>,
    /// The certificate of those with `tls=own`.
    pub certificate: CertificateDer<'static>,
}

/// What it has and does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Memory that is resident, in octets.
    pub resident: u64,
    /// The same, with what is shared counted in part.
    pub proportional: u64,
    /// Descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Sessions that are going on.
    pub open: u64,
    /// Sessions there were.
    pub sessions: u64,
    /// Messages that were taken.
    pub messages: u64,
    /// Octets of messages that are held.
    pub held: u64,
    /// Octets that it has of the allocator, without what libraries in C have.
    pub allocated: u64,
    /// The most that it had since [`reset_peak`](Listener::reset_peak).
    pub most_allocated: u64,
}

impl Listener {
    /// Starts `program listen` with these groups of words, each a kind of server and options; `tls=own` stands for a certificate
    /// of `mx.example.org`.
    pub fn start(program: &Path, groups: &[&[&str]]) -> Outcome<Self> {
        Self::start_as(Command::new(program), groups)
    }

    /// The same with one arena for all threads, so that resident memory tells what is held: else the allocator makes one for each, and
    /// each keeps the room that its thread has needed at some time, which takes hundreds of thousands of sessions to level off.
    pub fn start_in_one_arena(program: &Path, groups: &[&[&str]]) -> Outcome<Self> {
        let mut command = Command::new(program);
        command.env("MALLOC_ARENA_MAX", "1");
        Self::start_as(command, groups)
    }

    fn start_as(mut command: Command, groups: &[&[&str]]) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let pem = folder.path().join("certificate.pem");
        let own = rcgen::generate_simple_self_signed(["mx.example.org".to_owned()])?;
        fs::write(&pem, own.cert.pem() + &own.signing_key.serialize_pem())?;
        let tls = format!("tls={}", pem.display());
        command.arg("listen");
        for (place, group) in groups.iter().enumerate() {
            if place > 0 {
                command.arg("--");
            }
            for word in *group {
                command.arg(if *word == "tls=own" { &tls } else { *word });
            }
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("errors"))?)
            .spawn()?;
        let (said, answers) = channel();
        let out = child.stdout.take().ok_or("no output")?;
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        let mut listener = Self {
            tell: child.stdin.take(),
            child,
            answers,
            folder,
            addresses: Vec::new(),
            certificate: own.cert.der().clone(),
        };
        loop {
            let line = listener.answer()?;
            match line.strip_prefix("listening ") {
                Some(address) => listener.addresses.push(address.parse()?),
                None => return Ok(listener),
            }
        }
    }

    /// What it has and does now.
    pub fn figures(&mut self) -> Outcome<Figures> {
        self.say("statistics")?;
        let line = self.answer()?;
        let numbers: Result<Vec<u64>, _> = line.split(' ').skip(1).map(str::parse).collect();
        let [open, sessions, messages, held, allocated, most_allocated] = numbers?[..] else {
            return Err(format!("these are no statistics: {line}").into());
        };
        Ok(Figures {
            resident: self.kibibytes("smaps_rollup", "Rss:")? << 10,
            proportional: self.kibibytes("smaps_rollup", "Pss:")? << 10,
            descriptors: fs::read_dir(self.of_kernel("fd"))?.count(),
            threads: fs::read_dir(self.of_kernel("task"))?.count(),
            open,
            sessions,
            messages,
            held,
            allocated,
            most_allocated,
        })
    }

    /// Forgets what was its most memory so far.
    pub fn reset_peak(&mut self) -> Outcome<()> {
        self.say("forget")?;
        Ok(fs::write(self.of_kernel("clear_refs"), "5")?)
    }

    /// The most memory that was resident since [`reset_peak`](Self::reset_peak), in octets.
    pub fn peak(&self) -> Outcome<u64> {
        Ok(self.kibibytes("status", "VmHWM:")? << 10)
    }

    /// The time that it has had of the processors, in ticks of a hundredth of a second.
    pub fn ticks(&self) -> Outcome<u64> {
        let line = fs::read_to_string(self.of_kernel("stat"))?;
        let (_, fields) = line
            .rsplit_once(')')
            .ok_or("no statistics of the process")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let (user, system) = (fields.get(11), fields.get(12));
        let ticks = |field: Option<&&str>| field.map_or(Ok(0), |field| field.parse::<u64>());
        Ok(ticks(user)? + ticks(system)?)
    }

    /// Waits until no session goes on, nothing of a message is held and it has no more descriptors than `before`.
    pub async fn settled(&mut self, before: &Figures) -> Outcome<Figures> {
        let begun = Instant::now();
        loop {
            let now = self.figures()?;
            if now.open == 0 && now.held == 0 && now.descriptors <= before.descriptors {
                ensure(now.threads <= before.threads + DERIVING, || {
                    format!("threads are left: {now:?} after {before:?}")
                })?;
                return Ok(now);
            }
            ensure(begun.elapsed() < PATIENCE, || {
                format!("something is left behind: {now:?} after {before:?}")
            })?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until it has settled and given back what it had of the allocator since `before`, but for what it keeps ready.
    pub async fn given_back(&mut self, before: &Figures) -> Outcome<Figures> {
        let begun = Instant::now();
        loop {
            let now = self.settled(before).await?;
            if now.allocated <= before.allocated + KEPT {
                return Ok(now);
            }
            ensure(begun.elapsed() < PATIENCE, || {
                format!("memory is not given back: {now:?} after {before:?}")
            })?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Has it stop all servers; [`stopped`](Self::stopped) waits for it.
    pub fn begin_stop(&mut self) -> Outcome<()> {
        self.say("stop")
    }

    /// Waits until all servers have stopped. Gives the descriptors that are left.
    pub fn stopped(&mut self) -> Outcome<usize> {
        let line = self.answer()?;
        ensure(line == "stopped", || format!("it says {line:?}"))?;
        Ok(fs::read_dir(self.of_kernel("fd"))?.count())
    }

    /// Stops it and has it end, which it must do without a complaint.
    pub fn end(mut self) -> Outcome<()> {
        self.begin_stop()?;
        self.stopped()?;
        self.exit()
    }

    /// Has it end once it has stopped.
    pub fn exit(mut self) -> Outcome<()> {
        drop(self.tell.take());
        let status = self.child.wait()?;
        let errors = self.errors();
        ensure(status.success() && errors.is_empty(), || {
            format!("the listener has ended: {status}: {errors}")
        })
    }

    /// What it has complained of.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.folder.path().join("errors")).unwrap_or_default()
    }

    /// Whether it runs no more.
    pub fn is_gone(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn say(&mut self, word: &str) -> Outcome<()> {
        let tell = self.tell.as_mut().ok_or("it is told nothing any more")?;
        if writeln!(tell, "{word}").is_err() {
            return Err(format!("the listener is gone: {}", self.errors()).into());
        }
        Ok(())
    }

    fn answer(&mut self) -> Outcome<String> {
        let line = self.answers.recv_timeout(PATIENCE);
        line.map_err(|_| format!("the listener does not answer: {}", self.errors()).into())
    }

    fn kibibytes(&self, file: &str, name: &str) -> Outcome<u64> {
        let text = fs::read_to_string(self.of_kernel(file))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or("the kernel does not tell")?.parse()?)
    }

    fn of_kernel(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.child.id()))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It has mostly ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

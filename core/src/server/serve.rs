//! The server: where it listens, whom it lets in, and how it comes to its end.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::aside::Turns;
use super::attempts::Attempts;
use super::channel::LAST_WORDS;
use super::limits::{Admission, Connections};
use super::memory::BodyMemory;
use super::rate::Rate;
use super::recycled;
use super::session::{CONNECT_FAULT, Conversation};
use super::statistics::Counters;
use super::{Handler, Hooks, Network, Options, SessionInfo, Statistics};
use crate::error::{Error, Status};
use crate::net::{Bound, Listener, Peer, Stream, machine_name, take_proxy_header};
use crate::proto::server::Config;
use crate::proto::{Domain, Reply};
use crate::sasl::Decoy;
use crate::tls::ServerTls;

/// How long all sessions together are given for their last words when the server's time is over: each has [`LAST_WORDS`], and the task
/// that says them its turn.
const LAST_WORDS_OF_ALL: Duration = Duration::from_secs(2);

/// How long is waited, once all must be over, for the next session to end. Those that only wait for their client end now.
const A_MOMENT: Duration = Duration::from_millis(100);

/// How long a proxy may take for its header at the most: it stands right beside the server, and sends it first.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);

/// An SMTP or LMTP server on the caller's tokio runtime.
///
/// ```no_run
/// use mailwire::proto::Envelope;
/// use mailwire::server::{Answers, Body, Handler, Options, Server, Session, SessionInfo};
///
/// struct Print;
///
/// impl Handler for Print {
///     type Session = Self;
///     fn session(&self, _: &SessionInfo) -> Self {
///         Self
///     }
/// }
///
/// impl Session for Print {
///     async fn message(&mut self, info: &SessionInfo, envelope: Envelope, body: &mut Body<'_>) -> Answers {
///         match body.collect().await {
///             Ok(pieces) => println!("{}: {} pieces for {:?}", info.peer(), pieces.len(), envelope.recipients()),
///             Err(error) => eprintln!("{error}"),
///         }
///         Answers::accept()
///     }
/// }
///
/// # async fn example() -> Result<(), mailwire::Error> {
/// let mut options = Options::new();
/// options.listen("127.0.0.1:2525")?;
/// let server = Server::bind(options)?;
/// server.serve_until(Print, std::future::pending()).await
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    bound: Vec<Bound>,
}

impl Server {
    /// Opens the sockets. From now on clients can connect; they are greeted once the server serves. Fails if the options do not
    /// fit together or an address cannot be listened on.
    pub fn bind(options: Options) -> Result<Self, Error> {
        let usual = Hooks::USUAL;
        Self::with_hooks(options, usual)
    }

    pub(crate) fn with_hooks(mut options: Options, usual: Hooks) -> Result<Self, Error> {
        let hooks = options.hooks.unwrap_or(usual);
        options.check(hooks)?;
        let bound = options.bind()?;
        // Sockets that were made elsewhere are to close when accepting ends, and not only with the server.
        options.listen.clear();
        let hostname = match &options.hostname {
            Some(hostname) => hostname.clone(),
            None => own_name()?,
        };
        let shared = Arc::new(Shared::new(options, hooks, hostname)?);
        Ok(Self { shared, bound })
    }

    /// The TCP addresses that it listens on, with the ports that were chosen.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.bound.iter().filter_map(Bound::address).collect()
    }

    /// A view of it that lasts while it serves.
    pub fn control(&self) -> Control {
        Control(Arc::clone(&self.shared))
    }

    /// Serves until `shutdown` is done, and then as long as running transactions take, at most
    /// [`Options::set_grace`]: idle clients are told 421 at once. A single session's failure never ends the server; a listener
    /// that accepts nothing any more does, with an error. Fails before it accepts anybody if the handler
    /// [relays](Handler::relays) and the options let strangers relay.
    ///
    /// Dropping the future ends all sessions at once, without a word.
    pub async fn serve_until(
        self,
        handler: impl Handler,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), Error> {
        let Self { shared, bound } = self;
        shared.options.check_relaying(handler.relays())?;
        let listeners = bound
            .iter()
            .map(Bound::listener)
            .collect::<Result<_, _>>()?;
        // The sockets stay open in the listeners only, so that they close when accepting ends.
        drop(bound);
        let serving = serve(Arc::clone(&shared), listeners, Arc::new(handler));
        let (mut serving, mut shutdown) = (pin!(serving), pin!(shutdown));
        tokio::select! {
            biased;
            () = &mut shutdown => {}
            result = &mut serving => return result,
        }
        shared.stop.begin(shared.options.grace);
        serving.await
    }

    pub(crate) fn parts(self) -> (Arc<Shared>, Vec<Bound>) {
        (self.shared, self.bound)
    }
}

/// What can be asked of a server, and told to it, while it serves.
#[derive(Debug, Clone)]
pub struct Control(Arc<Shared>);

impl Control {
    /// What it has done so far.
    pub fn statistics(&self) -> Statistics {
        self.0.statistics()
    }

    /// Uses another certificate for all handshakes from now on. Fails if the server was set up without TLS: what it offers does
    /// not change while it serves.
    pub fn reload_tls(&self, tls: ServerTls) -> Result<(), Error> {
        self.0.reload_tls(tls)
    }
}

/// What all sessions of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(super) config: Arc<Config>,
    /// Stands in for users who are not there.
    pub(super) decoy: Decoy,
    pub(super) turns: Turns,
    pub(super) attempts: Arc<Attempts>,
    pub(crate) hooks: Hooks,
    pub(crate) connections: Arc<Connections>,
    pub(super) memory: Arc<BodyMemory>,
    pub(super) messages: Rate,
    pub(super) recipients: Rate,
    pub(super) counters: Counters,
    pub(crate) stop: Stop,
    tls: RwLock<Option<ServerTls>>,
    ids: AtomicU64,
    /// Whether the handler passes messages on.
    relays: AtomicBool,
}

impl Shared {
    fn new(options: Options, hooks: Hooks, hostname: Domain) -> Result<Self, Error> {
        let looked_up = hooks.has(Hooks::LOOKUP);
        let decoy = options.users.decoy(*options.secret_of_decoys()?, looked_up);
        let config = Config::new(hostname, options.protocol)
            .with_size_limit(Some(options.max_message_size))
            .with_max_recipients(options.max_recipients)
            .with_max_recipient_domains(options.max_recipient_domains)
            .with_max_transactions(options.max_transactions)
            .with_extensions(options.extensions)
            .with_deliver_by_minimum(options.deliver_by_minimum)
            .with_longest_hold(options.longest_hold)
            .with_additions(options.additions.clone())
            .with_line_ends(options.line_ends)
            .with_lenient_line_ends(options.lenient_line_ends)
            .with_strict_spaces(options.strict_spaces)
            .with_starttls(options.tls.is_some() && !options.implicit_tls)
            .with_required_tls(options.require_tls)
            .with_mechanisms(options.offered_mechanisms(hooks))
            .with_auth_in_clear(options.allow_plaintext_auth)
            .with_required_auth(options.auth_required)
            .with_command_line(options.command_line)
            .with_auth_line(options.auth_line)
            .with_max_bad_commands(options.max_bad_commands)
            .with_max_idle_commands(options.max_idle_commands)
            .with_max_auth_failures(options.max_auth_failures)
            .with_hooks(hooks.of_machine(
                options.restricts_recipients() || options.recipients_per_minute > 0,
                options.bind_sender || options.messages_per_minute > 0,
            ));
        let own = options.own_mechanisms.iter().cloned();
        let config = own.fold(config, Config::with_own_mechanism);
        Ok(Self {
            decoy,
            turns: Turns::new(),
            config: Arc::new(config),
            hooks,
            connections: Arc::new(
                Connections::new(options.max_connections, options.connections_per_address)
                    .with_rate(options.connections_per_minute),
            ),
            attempts: Arc::new(Attempts::new(&options)),
            memory: Arc::new(BodyMemory::new(&options)),
            messages: Rate::new(options.messages_per_minute),
            recipients: Rate::new(options.recipients_per_minute),
            counters: Counters::default(),
            stop: Stop::default(),
            tls: RwLock::new(options.tls.clone()),
            ids: AtomicU64::new(1),
            relays: AtomicBool::new(false),
            options,
        })
    }

    /// Whether a `Received` field comes in front of each message: whoever passes mail on has to write one (RFC 5321 section 4.4).
    pub(super) fn writes_received(&self) -> bool {
        self.options.received || self.relays.load(Ordering::Relaxed)
    }

    pub(super) fn tls(&self) -> Option<ServerTls> {
        self.tls
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn reload_tls(&self, tls: ServerTls) -> Result<(), Error> {
        let mut current = self.tls.write().unwrap_or_else(PoisonError::into_inner);
        if current.is_none() {
            return Err(Error::new(
                Status::Misuse,
                "the server was set up without TLS, which cannot be turned on while it runs",
            ));
        }
        *current = Some(tls);
        Ok(())
    }

    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            open_sessions: self.connections.count() as u64,
            body_memory: self.memory.used(),
            ..self.counters.snapshot()
        }
    }
}

/// Tells the sessions of a server to come to their end.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    begun: Arc<Notify>,
    times: OnceLock<Times>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    begun: Instant,
    deadline: Instant,
}

impl Stop {
    /// Begins: idle sessions end now, the others at the latest when `grace` is over. Only the first call counts.
    pub(crate) fn begin(&self, grace: Duration) {
        // Beyond a day there is no difference, and no clock overflows.
        let grace = grace.min(Duration::from_secs(24 * 3600));
        let begun = Instant::now();
        let deadline = begun + grace;
        let _ = self.times.set(Times { begun, deadline });
        self.begun.notify_waiters();
    }

    pub(crate) fn begun(&self) -> bool {
        self.times.get().is_some()
    }

    /// When it has begun.
    pub(super) fn since(&self) -> Option<Instant> {
        self.times.get().map(|times| times.begun)
    }

    /// When all must be over, once it has begun.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.times.get().map(|times| times.deadline)
    }

    /// Is done when it begins, unless it has begun already.
    pub(super) fn notified(&self) -> OwnedNotified {
        Arc::clone(&self.begun).notified_owned()
    }
}

/// Serves on `listeners` until the server is stopped and every session is over.
pub(crate) async fn serve<H: Handler>(
    shared: Arc<Shared>,
    listeners: Vec<Listener>,
    handler: Arc<H>,
) -> Result<(), Error> {
    // No session is there yet.
    shared.relays.store(handler.relays(), Ordering::Relaxed);
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(serve_one(
            Arc::clone(&shared),
            listener,
            Arc::clone(&handler),
        ));
    }
    let mut result = Ok(());
    let mut keeping = pin!(recycled::keep());
    loop {
        let ended = tokio::select! {
            biased;
            ended = accepting.join_next() => ended,
            never = &mut keeping => match never {},
        };
        let Some(ended) = ended else {
            break;
        };
        // It panics only where this library is wrong.
        let ended = ended.unwrap_or_else(|error| {
            let text = format!("a listener has failed: {error}");
            Err(Error::new(Status::Internal, text))
        });
        if let Err(error) = ended {
            // The other listeners are of no use without this one: whoever runs the server must know.
            shared.stop.begin(shared.options.grace);
            result = Err(error);
        }
    }
    result
}

async fn serve_one<H: Handler>(
    shared: Arc<Shared>,
    listener: Listener,
    handler: Arc<H>,
) -> Result<(), Error> {
    let mut stopped = pin!(shared.stop.notified());
    let mut sessions = JoinSet::new();
    let result = loop {
        if shared.stop.begun() {
            break Ok(());
        }
        tokio::select! {
            biased;
            () = &mut stopped => break Ok(()),
            Some(_) = sessions.join_next() => {}
            accepted = listener.accept(|| shared.counters.failed_accepts.add(1)) => match accepted {
                Ok(stream) => begin(&shared, stream, &handler, &mut sessions),
                Err(error) => {
                    shared.stop.begin(shared.options.grace);
                    break Err(error);
                }
            }
        }
    };
    drop(listener);
    let deadline = shared.stop.deadline().unwrap_or_else(Instant::now);
    let all_over = async { while sessions.join_next().await.is_some() {} };
    if timeout_at(deadline, all_over).await.is_err() {
        let last_words =
            async { while let Ok(Some(_)) = timeout(A_MOMENT, sessions.join_next()).await {} };
        let _ = timeout_at(deadline + LAST_WORDS_OF_ALL, last_words).await;
        // What is left waits for its application.
        sessions.shutdown().await;
    }
    result
}

/// Begins a session, unless there are too many.
fn begin<H: Handler>(
    shared: &Arc<Shared>,
    stream: Stream,
    handler: &Arc<H>,
    sessions: &mut JoinSet<()>,
) {
    let address = address_of(&stream).map(|address| address.ip());
    let proxies = &shared.options.proxy_protocol;
    let is_proxy = address.is_some_and(|ip| Network::any_contains(proxies, ip));
    // A proxy's connection counts among those of an address only once it is known whose it is.
    let counted = address.filter(|&ip| !is_proxy && !shared.options.may_say_xclient(ip));
    let admission = match shared.connections.admit(counted, stream.raw_fd()) {
        Ok(admission) => admission,
        Err(full) => {
            shared.counters.note_full(full);
            // In front of its header a proxy is told nothing.
            if !shared.options.implicit_tls && !is_proxy {
                let mut stream = stream;
                sessions.spawn(async move { turn_away(&mut stream, full.reply()).await });
            }
            return;
        }
    };
    if is_proxy {
        let (shared, handler) = (Arc::clone(shared), Arc::clone(handler));
        sessions.spawn(begin_behind_proxy(shared, stream, admission, handler));
        return;
    }
    match conversation(shared, stream, admission, handler) {
        Ok(conversation) => sessions.spawn(conversation.run()),
        Err(connection) => sessions.spawn(refuse(Arc::clone(shared), connection)),
    };
}

/// A session with the client that a proxy tells of, or none if it does not, or not in time.
async fn begin_behind_proxy<H: Handler>(
    shared: Arc<Shared>,
    mut stream: Stream,
    mut admission: Admission,
    handler: Arc<H>,
) {
    let mut stopped = pin!(shared.stop.notified());
    if shared.stop.begun() {
        return;
    }
    let patience = shared.options.handshake_timeout.min(HEADER_PATIENCE);
    let taken = tokio::select! {
        biased;
        () = &mut stopped => return,
        taken = timeout(patience, take_proxy_header(&mut stream)) => taken,
    };
    if !matches!(taken, Ok(Ok(()))) {
        shared.counters.bad_proxy_headers.add(1);
        return;
    }
    let address = address_of(&stream).map(|address| address.ip());
    let counted = address.filter(|&ip| !shared.options.may_say_xclient(ip));
    if let Err(full) = admission.claim(counted) {
        shared.counters.note_full(full);
        if !shared.options.implicit_tls {
            // Lent: a descriptor is not to be closed before the admission, by which a fork finds it, is gone.
            turn_away(&mut stream, full.reply()).await;
        }
        return;
    }
    match conversation(&shared, stream, admission, &handler) {
        Ok(conversation) => conversation.run().await,
        Err(connection) => refuse(shared, connection).await,
    }
}

fn address_of(stream: &Stream) -> Option<SocketAddr> {
    match stream.peer() {
        Peer::Address(address) => Some(*address),
        Peer::Named(_) | Peer::Local => None,
    }
}

/// A connection that was let in. The admission is dropped before the stream: from then on the descriptor may be anybody's.
type Admitted = (Admission, Stream);

/// A session with a client that was let in, or its connection back if the handler panics, which costs this client only.
fn conversation<H: Handler>(
    shared: &Arc<Shared>,
    stream: Stream,
    admission: Admission,
    handler: &Arc<H>,
) -> Result<Box<Conversation<H::Session>>, Box<Admitted>> {
    let id = shared.ids.fetch_add(1, Ordering::Relaxed);
    let info = SessionInfo::new(id, stream.peer_label(), address_of(&stream));
    let Ok(session) = catch_unwind(AssertUnwindSafe(|| handler.session(&info))) else {
        return Err(Box::new((admission, stream)));
    };
    shared.counters.sessions.add(1);
    // Boxed, so that what runs it is small: an idle session's memory is this and not much more.
    Ok(Box::new(Conversation::new(
        stream,
        session,
        info,
        admission,
        Arc::clone(shared),
    )))
}

/// Ends a connection that was let in, and that the handler has made no session of.
async fn refuse(shared: Arc<Shared>, mut connection: Box<Admitted>) {
    shared.counters.connections_refused_by_application.add(1);
    if !shared.options.implicit_tls {
        turn_away(&mut connection.1, &CONNECT_FAULT).await;
    }
}

async fn turn_away(stream: &mut Stream, reply: &Reply) {
    let mut line = Vec::new();
    reply.write_to(&mut line, true);
    let saying = async {
        let _ = stream.write_all(&line).await;
        let _ = stream.shutdown().await;
    };
    let _ = timeout(LAST_WORDS, saying).await;
}

/// The machine's own name, where it can stand in a greeting.
fn own_name() -> Result<Domain, Error> {
    let name = machine_name();
    name.and_then(|name| name.parse().ok())
        .map_or_else(|| "localhost".parse(), Ok)
        .map_err(|error| Error::invalid(format!("hostname: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{Found, Lookup, ScramHash, Wanted, derivations};

    #[test]
    fn s221_nobody_costs_what_a_password_costs_that_a_hook_may_find() {
        let mut options = Options::new();
        options.set_allow_plaintext_auth(true);
        let hostname = "mx.example.org".parse().unwrap();
        let shared = Shared::new(options, Hooks::LOOKUP, hostname).unwrap();
        let lookup = Lookup::new(Wanted::Keys(ScramHash::Sha256), "tim", None);
        for found in [Found::Nobody, Found::Password("right".into())] {
            let before = derivations();
            shared.decoy.settle(found, &lookup);
            assert_eq!(derivations() - before, 1);
        }
    }
}

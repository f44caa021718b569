//! Sessions made of real ones by mutation, over sockets, to servers of several kinds. A session is a function of a seed and its number,
//! so that one which did harm can be had again.

mod corpus;
mod mutate;
mod plan;
mod play;
mod run;

pub use run::{Order, malformed, shown};

/// The servers that sessions are played to, by their place. Their limits of time are short.
const SERVERS: [&[&str]; 8] = [
    &["tasks", "read=mixed", "max_message_size=20000"],
    &[
        "threads",
        "read=mixed",
        "hooks=all",
        "user=tim:pw",
        "allow_plaintext_auth=yes",
        "mechanisms=SCRAM-SHA-256,SCRAM-SHA-1,CRAM-MD5,PLAIN,LOGIN,OAUTHBEARER,XOAUTH2,EXTERNAL,ANONYMOUS",
    ],
    &["tasks", "read=mixed", "tls=own", "user=tim:pw"],
    &["threads", "read=whole", "tls=own", "implicit_tls=yes"],
    &["tasks", "read=mixed", "protocol=lmtp", "max_recipients=5"],
    &[
        "tasks",
        "proxy_protocol=127.0.0.0/8",
        "xclient=192.0.2.0/24",
    ],
    &[
        "queue",
        "hooks=all",
        "allow_plaintext_auth=yes",
        "stream=yes",
        "line_ends=normalise",
        "lenient_line_ends=yes",
        "extensions=PIPELINING,SIZE,8BITMIME,SMTPUTF8,CHUNKING,BINARYMIME,DSN,DELIVERBY,FUTURERELEASE,MT-PRIORITY,REQUIRETLS",
        "domains=example.net,example.org",
        "max_recipient_domains=2",
        "max_transactions=3",
        "body_memory=32K",
        "verb=XFOO",
        "mail_parameter=X-MAIL",
    ],
    &[
        "queue",
        "tls=own",
        "user=tim:pw",
        "auth_required=yes",
        "require_tls=yes",
    ],
];

/// What all of them have.
const LIMITS: [&str; 9] = [
    "idle_timeout=1",
    "handshake_timeout=1",
    "answer_timeout=2",
    "session_timeout=5",
    "max_connections=5000",
    "connections_per_address=5000",
    // All come from one address, and many fail to log in: what is looked for is behind that.
    "auth_failures_per_address=0",
    "auth_failures_per_account=0",
    "auth_delay=0",
];

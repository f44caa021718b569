//! The arrows between the rooms, one way only: which room may name which, and which rooms may name the outside world.
//!
//! The tables below are ARCHITECTURE.md's "Arrows" as data. A room is a folder or file directly below `core/src`.

use crate::collect::{Crate, ModulePath, Written};
use crate::files;
use crate::resolve::{Target, from_root, resolve};

/// A room and what it may name.
#[derive(Debug)]
pub struct Room {
    /// Its name: the first word of its modules' paths, or the crate's folder for what stands on mailwire.
    pub name: &'static str,
    /// The places it may name besides its own, as path prefixes. [`PLAIN`] stands for [`PLAIN_TYPES`].
    pub may: &'static [&'static str],
    /// The only dependencies it may name; `None` where any will do. A room with a list knows nothing of the outside world.
    pub dependencies: Option<&'static [&'static str]>,
}

/// In a room's list: proto's plain types.
pub const PLAIN: &str = "(proto's plain types)";

/// The modules of proto whose types both sides share: no machine, no codec.
pub const PLAIN_TYPES: &[&str] = &[
    "proto::address",
    "proto::capability",
    "proto::command",
    "proto::envelope",
    "proto::limits",
    "proto::params",
    "proto::protocol",
    "proto::reply",
    "proto::tls_info",
    "proto::violation",
];

/// Every room of the crate mailwire.
pub const ROOMS: &[Room] = &[
    Room {
        name: "error",
        may: &["outcome", PLAIN],
        dependencies: Some(&["thiserror"]),
    },
    Room {
        name: "outcome",
        may: &["error", PLAIN],
        dependencies: Some(&["thiserror"]),
    },
    Room {
        name: "sasl",
        may: &["error"],
        dependencies: Some(&[
            "base64",
            "hmac",
            "md5",
            "pbkdf2",
            "sha1",
            "sha2",
            "stringprep",
            "subtle",
            "thiserror",
            "unicode_normalization",
            "zeroize",
        ]),
    },
    Room {
        name: "proto",
        may: &["error", "outcome", "sasl"],
        dependencies: Some(&[
            "base64",
            "idna",
            "memchr",
            "multiversion",
            "thiserror",
            "zeroize",
        ]),
    },
    Room {
        name: "message",
        may: &["error", "proto"],
        dependencies: None,
    },
    Room {
        name: "tls",
        may: &["error", PLAIN],
        dependencies: None,
    },
    Room {
        name: "transcript",
        may: &["error", "proto::date_time", PLAIN],
        dependencies: None,
    },
    Room {
        name: "net",
        may: &["error", "tls", "transcript", PLAIN],
        dependencies: None,
    },
    Room {
        name: "client",
        may: &[
            "error",
            "message",
            "net",
            "outcome",
            "proto",
            "sasl",
            "tls",
            "transcript",
        ],
        dependencies: None,
    },
    Room {
        name: "server",
        may: &[
            "error",
            "message",
            "net",
            "outcome",
            "proto",
            "sasl",
            "tls",
            "transcript",
        ],
        dependencies: None,
    },
    Room {
        name: "disposition",
        may: &[
            "client",
            "error",
            "message",
            "outcome",
            // What a session answers with, which the server hands on.
            "proto::server::event",
            "server",
            PLAIN,
        ],
        dependencies: None,
    },
    Room {
        name: "testing",
        may: &[
            "disposition",
            "error",
            "message",
            "outcome",
            "server",
            PLAIN,
        ],
        dependencies: None,
    },
    Room {
        name: "blocking",
        may: &[
            "client",
            "disposition",
            "error",
            "message",
            "net",
            "outcome",
            "proto",
            "sasl",
            "server",
            "testing",
            "tls",
        ],
        dependencies: None,
    },
];

/// What stands on the crate and names it as `mailwire`: the source folder is `name` and `/src`, or `name` itself where each file
/// is a program.
pub const ON_TOP: &[Room] = &[
    Room {
        name: "ffi",
        // The types that options and calls are made of, wherever they live: what does I/O is reached through `blocking` alone.
        may: &[
            "blocking",
            "client::content",
            "client::options",
            "disposition::destination",
            "error",
            "message",
            "net::cancel",
            "outcome",
            "sasl::credentials",
            // What is wanted and found of a user who is looked up.
            "sasl::exchange",
            // What a server keeps of a password, which is made without I/O.
            "sasl::scram",
            "sasl::secret",
            "server::auth",
            "server::hooks",
            "server::options",
            "server::statistics",
            "tls::server",
            PLAIN,
        ],
        dependencies: None,
    },
    // Python's asyncio side drives the async client and server themselves.
    Room {
        name: "python",
        may: &[
            "blocking",
            "client",
            "disposition::destination",
            "error",
            "message",
            "outcome",
            "sasl",
            "server",
            "tls",
            PLAIN,
        ],
        dependencies: None,
    },
    Room {
        name: "examples/rust",
        may: &[
            "blocking",
            "client",
            "disposition",
            "error",
            "message",
            "outcome",
            // What a session answers with, which the server hands on.
            "proto::server::event",
            "server",
            "testing",
            "tls",
            PLAIN,
        ],
        dependencies: None,
    },
];

/// Places that never name one another, in either direction, not even in a test: a client and a server meet only over a wire. A test
/// that needs both stands in `core/tests`.
pub const NEVER: &[(&str, &str)] = &[
    ("client", "server"),
    ("client", "proto::server"),
    ("server", "proto::client"),
    ("proto::client", "proto::server"),
];

/// What of the standard library a room with a list of dependencies may not name: no file, thread, clock, socket or process.
pub const OUTSIDE_WORLD: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Every broken rule in the repository, one sentence each. `dependencies` are the crates that mailwire depends on, as named in code.
/// The error tells of a file that could not be read.
pub fn of_repository(dependencies: &[String]) -> Result<Vec<String>, String> {
    let core = read("core/src")?;
    let mut broken = of_core(&core, dependencies);
    for room in ON_TOP {
        let folder = format!("{}/src", room.name);
        if files::repository().join(&folder).is_dir() {
            broken.extend(on_top(&core, room, &read(&folder)?));
        } else {
            for program in files::below(room.name, &["rs"]).map_err(|error| error.to_string())? {
                let mut one = Crate::default();
                one.read("main.rs", &program.text)
                    .map_err(|error| format!("{}: {error}", program.path))?;
                broken.extend(
                    on_top(&core, room, &one)
                        .into_iter()
                        .map(|what| format!("{}: {what}", program.path)),
                );
            }
        }
    }
    Ok(broken)
}

/// Every broken rule in the crate mailwire itself.
pub fn of_core(core: &Crate, dependencies: &[String]) -> Vec<String> {
    let mut broken = core.evasions.clone();
    for module in core.scopes.keys().filter(|module| module.len() == 1) {
        if room(module).is_none() {
            broken.push(format!(
                "core/src has a room `{}` that the table of arrows does not know",
                module[0]
            ));
        }
    }
    for written in &core.written {
        // The crate's root is the table of contents: it names every room, and what it re-exports is followed to its end.
        let Some(room) = room(&written.module) else {
            continue;
        };
        for target in resolve(core, &written.module, &written.words) {
            let complaint = match &target {
                Target::Inside(place) => inside(core, room, written, place),
                Target::Outside(words) => outside(room, dependencies, words),
            };
            broken.extend(complaint.map(|what| complain(written, &what)));
        }
    }
    broken
}

/// Every broken rule in something that stands on the crate.
pub fn on_top(core: &Crate, room: &Room, user: &Crate) -> Vec<String> {
    let mut broken = user.evasions.clone();
    for written in &user.written {
        for target in resolve(user, &written.module, &written.words) {
            let Target::Outside(words) = target else {
                continue;
            };
            if words.first().is_none_or(|word| word != "mailwire") {
                continue;
            }
            for target in from_root(core, &words[1..]) {
                if let Target::Inside(place) = target {
                    broken.extend(
                        arrow(core, room, written, &place).map(|what| complain(written, &what)),
                    );
                }
            }
        }
    }
    broken
}

/// Reads every Rust file below `folder` as one crate.
pub fn read(folder: &str) -> Result<Crate, String> {
    let mut source = Crate::default();
    for file in files::below(folder, &["rs"]).map_err(|error| error.to_string())? {
        let inside = file
            .path
            .strip_prefix(folder)
            .unwrap_or(&file.path)
            .trim_start_matches('/');
        source.read(inside, &file.text)?;
    }
    Ok(source)
}

fn room(module: &ModulePath) -> Option<&'static Room> {
    let name = module.first()?;
    ROOMS.iter().find(|room| room.name == name)
}

fn inside(core: &Crate, room: &Room, written: &Written, place: &[String]) -> Option<String> {
    for (one, other) in NEVER {
        for (from, to) in [(one, other), (other, one)] {
            if begins_with(&written.module, from) && begins_with(place, to) {
                return Some(format!("{from} never names {to}"));
            }
        }
    }
    if place.first().is_some_and(|first| first == room.name) {
        return None;
    }
    arrow(core, room, written, place)
}

/// The complaint if `room` may not name `place`.
fn arrow(core: &Crate, room: &Room, written: &Written, place: &[String]) -> Option<String> {
    let is_module = core.scopes.contains_key(place);
    for allowed in room.may {
        let prefixes = if *allowed == PLAIN {
            PLAIN_TYPES
        } else {
            std::slice::from_ref(allowed)
        };
        for prefix in prefixes {
            // A module on the way to an allowed one may be named (`use mailwire::proto`): what is reached through it is judged
            // where it is used. Not so with `*`, which brings in all of it unseen.
            let on_the_way = is_module && !written.glob && begins_with_words(prefix, place);
            if begins_with(place, prefix) || on_the_way {
                return None;
            }
        }
    }
    // The root itself (`pub(crate)`, `use mailwire`) is no room.
    if place.is_empty() && !written.glob {
        return None;
    }
    Some(format!(
        "{} may not name {}",
        room.name,
        if place.is_empty() {
            "all of the root".into()
        } else {
            place.join("::")
        }
    ))
}

fn outside(room: &Room, dependencies: &[String], words: &[String]) -> Option<String> {
    let only = room.dependencies?;
    // A single word is a variable or a type of the prelude: a crate is reached through `::`.
    let (first, _) = words.split_first().filter(|(_, rest)| !rest.is_empty())?;
    if dependencies.contains(first) && !only.contains(&first.as_str()) {
        return Some(format!("{} may not name the crate {first}", room.name));
    }
    let of_the_world = OUTSIDE_WORLD
        .iter()
        .find(|world| begins_with(words, world))?;
    Some(format!(
        "{} may not name {of_the_world}: it knows nothing of the outside world",
        room.name
    ))
}

/// Whether `place` is `prefix` or lies below it.
fn begins_with(place: &[String], prefix: &str) -> bool {
    let mut words = place.iter();
    prefix
        .split("::")
        .all(|word| words.next().is_some_and(|is| is == word))
}

/// Whether `path` lies below `place`, or is it.
fn begins_with_words(path: &str, place: &[String]) -> bool {
    let mut words = path.split("::");
    !place.is_empty()
        && place
            .iter()
            .all(|word| words.next().is_some_and(|is| is == word))
}

fn complain(written: &Written, what: &str) -> String {
    let star = if written.glob { "::*" } else { "" };
    format!(
        "{}:{}: {what} (written `{}{star}`)",
        written.file,
        written.line,
        written.words.join("::")
    )
}

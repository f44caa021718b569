//! `abuse figures` does every attack at its full size and prints what it comes to; `abuse malformed NAME=NUMBER …` plays sessions that
//! were made by mutation; `abuse listen` is the listener that all of it is done to.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

use mailwire_abuse::drips::{self, Phase};
use mailwire_abuse::endless::endless;
use mailwire_abuse::idle::{Over, idle};
use mailwire_abuse::malformed::{Order, malformed};
use mailwire_abuse::resets::resets;
use mailwire_abuse::serve::serve;
use mailwire_abuse::{Outcome, Row, raise_descriptors};
use peak_alloc::PeakAlloc;

/// What can be named to `figures`.
const ATTACKS: [&str; 4] = ["idle", "drips", "resets", "endless"];

/// It counts what the listener holds.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    raise_descriptors();
    let done = match arguments.split_first() {
        Some((word, rest)) if word == "listen" => serve(rest, &ALLOCATOR),
        Some((word, rest)) if word == "figures" => on_runtime(figures(rest)),
        Some((word, rest)) if word == "malformed" => on_runtime(mutations(rest)),
        _ => Err("usage: abuse figures [ATTACK …] | malformed [NAME=NUMBER …]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("abuse: {error}");
            ExitCode::FAILURE
        }
    }
}

fn on_runtime(work: impl Future<Output = Outcome<()>>) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

/// The attacks that are named, or all.
async fn figures(names: &[String]) -> Outcome<()> {
    if let Some(other) = names.iter().find(|name| !ATTACKS.contains(&name.as_str())) {
        return Err(format!("{other:?} is no attack; there are {}", ATTACKS.join(", ")).into());
    }
    let program = std::env::current_exe()?;
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    println!("| attack | figures |\n| --- | --- |");
    for kind in ["tasks", "queue"] {
        if wanted("idle") {
            print(&idle(&program, kind, Over::Clear, 9000, 2 << 10).await?);
            print(&idle(&program, kind, Over::Tls, 9000, 10 << 10).await?);
        }
        if wanted("drips") {
            for phase in Phase::ALL {
                print(&drips::rates(&program, kind, phase, 2000, 5).await?);
            }
            let limits = ["idle_timeout=20", "handshake_timeout=20"];
            print(&drips::ended(&program, kind, &limits, 2000).await?);
        }
        if wanted("resets") {
            print(&resets(&program, kind, 100_000).await?);
        }
        if wanted("endless") {
            let rows = endless(&program, kind, 10, 64 << 20).await?;
            rows.iter().for_each(print);
        }
    }
    Ok(())
}

/// `count`, `seed` and `first` say which sessions. One alone is shown.
async fn mutations(settings: &[String]) -> Outcome<()> {
    let mut numbers = HashMap::new();
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or("the form is name=number")?;
        if !["count", "seed", "first", "at_once", "server"].contains(&name) {
            return Err(format!("{name:?} is nothing that can be set").into());
        }
        numbers.insert(name, value.parse::<u64>()?);
    }
    let number = |name, usual| numbers.get(name).copied().unwrap_or(usual);
    let order = Order {
        seed: number("seed", 1),
        first: number("first", 0),
        count: number("count", 20_000).max(1),
        at_once: usize::try_from(number("at_once", 256))?,
        server: match numbers.get("server") {
            Some(server) => Some(usize::try_from(*server)?),
            None => None,
        },
        parts: if number("count", 20_000) < 10_000 {
            1
        } else {
            10
        },
    };
    let program = std::env::current_exe()?;
    if order.count == 1 {
        println!("{}", mailwire_abuse::malformed::shown(order));
    }
    malformed(Path::new(&program), order, print).await
}

fn print(row: &Row) {
    println!("| {} | {} |", row.attack, row.figures);
}

//! Holds any server to the requirements: `mailwire-conformance HOST:PORT --recipient ADDRESS [options]`. Prints a row for each
//! requirement and exits with 1 where one that binds was not met, with 2 where nothing could be looked at. `mailwire-conformance
//! client` does the same with our own client.

use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mailwire_conformance::client;
use mailwire_conformance::report::{Entry, counts, lines, table};
use mailwire_conformance::requirements::{self, Row};
use mailwire_conformance::server::{Foreign, Offer, Pieces, TlsSetting, cases, play};
use mailwire_conformance::template::Names;
use mailwire_conformance::verdict::Verdict;

const USAGE: &str = "\
usage: mailwire-conformance HOST:PORT --recipient ADDRESS [options]
       mailwire-conformance client
  --recipient ADDRESS   a recipient that the server takes; its domain is one that the server serves
  --sender ADDRESS      a sender that the server takes (sender@client.example)
  --unknown ADDRESS     a recipient that does not exist there
  --elsewhere ADDRESS   a recipient that the server must not relay to
  --user NAME --password PASSWORD
  --ca FILE             trust the certificates in this PEM file; without it and --insecure TLS is left out
  --insecure            trust any certificate
  --name NAME           what the server's certificate calls it (localhost)
  --with WORD           how the server is set, as `lmtp` or `recipients=5`; may be given again
  --wait SECONDS        how long to wait for a reply (10)
  --silence SECONDS     how long silence has to last (1)
  --limit SECONDS       how long all may take (600)
  --only ID,GROUP       only these rows and groups
  --tsv FILE            write number, verdict and remark of each row to FILE too
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("mailwire-conformance: {error}");
            ExitCode::from(2)
        }
    }
}

struct Arguments {
    address: String,
    options: Vec<(String, String)>,
}

impl Arguments {
    fn read(words: Vec<String>) -> Result<Self, String> {
        let mut address = None;
        let mut options = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some("insecure") => options.push(("insecure".to_owned(), String::new())),
                Some(name) if USAGE.contains(&format!("--{name} ")) => {
                    let value = words
                        .next()
                        .ok_or_else(|| format!("{word} needs a value"))?;
                    options.push((name.to_owned(), value));
                }
                None if address.is_none() => address = Some(word),
                _ => return Err(format!("{word} is not known\n{USAGE}")),
            }
        }
        Ok(Self {
            address: address.ok_or(USAGE)?,
            options,
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.options
            .iter()
            .filter(move |option| option.0 == name)
            .map(|option| option.1.as_str())
    }

    fn seconds(&self, name: &str, default: f64) -> Result<Duration, String> {
        let seconds = self.get(name).map_or(Ok(default), str::parse);
        seconds
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| format!("--{name}: not a number of seconds"))
    }
}

/// Whether no binding requirement was broken.
fn run(words: Vec<String>) -> Result<bool, String> {
    if words == ["client"] {
        return run_client();
    }
    let arguments = Arguments::read(words)?;
    let mut target = target(&arguments)?;
    target.look()?;
    println!(
        "{} offers {}\n",
        target.address,
        target.offer.keywords.join(" ")
    );
    let wanted: Vec<&str> = arguments
        .get("only")
        .unwrap_or_default()
        .split(',')
        .collect();
    let rows = requirements::rows(requirements::SERVER)?;
    let mut breaches = Vec::new();
    let mut entries = Vec::new();
    for case in cases()? {
        let chosen = wanted == [""]
            || wanted
                .iter()
                .any(|&one| one == case.id || one == case.group);
        let Some(row) = rows.iter().find(|row| row.id == case.id).filter(|_| chosen) else {
            continue;
        };
        let outcome = play(&case, &target);
        breaches.extend(
            outcome
                .breaches
                .into_iter()
                .map(|(id, what)| (id, what, case.id.clone())),
        );
        entries.push(Entry::new(row.clone(), outcome.verdict));
    }
    blame(&mut entries, &rows, &breaches);
    print!("{}", table(&entries));
    if let Some(file) = arguments.get("tsv") {
        std::fs::write(file, lines(&entries)).map_err(|error| format!("{file}: {error}"))?;
    }
    let [conformant, _, _, not] = counts(&entries);
    if conformant == 0 && not == 0 {
        return Err("nothing could be looked at".to_owned());
    }
    Ok(not == 0)
}

/// Holds our client to its rows: over a socket, and in memory what a socket cannot show.
fn run_client() -> Result<bool, String> {
    let own = client::Own::new()?;
    let memory = client::Memory {
        pieces: Pieces::Whole,
    };
    let rows = requirements::rows(requirements::CLIENT)?;
    let mut entries = Vec::new();
    for case in client::cases()? {
        let Some(row) = rows.iter().find(|row| row.id == case.id) else {
            continue;
        };
        let each = case.conversations().map(|one| {
            let verdict = client::play(&one, &own).verdict;
            match verdict {
                Verdict::Inconclusive(_) => client::play(&one, &memory).verdict,
                told => told,
            }
        });
        let worst = each.max().unwrap_or(Verdict::Conformant);
        entries.push(Entry::new(row.clone(), worst));
    }
    entries.sort_by(|one, other| one.row.id.cmp(&other.row.id));
    print!("{}", table(&entries));
    Ok(counts(&entries)[3] == 0)
}

/// A reply of the wrong form counts against the row about its form, in whatever case it came.
fn blame(entries: &mut [Entry], rows: &[Row], breaches: &[(&str, String, String)]) {
    for entry in entries {
        let row = rows.iter().find(|row| row.id == entry.row.id);
        let first = breaches.iter().find(|breach| breach.0 == entry.row.id);
        if let (Some(row), Some((_, what, at))) = (row, first) {
            let verdict = Verdict::Not(format!("in {at}: {what}"));
            *entry = Entry::new(row.clone(), verdict);
        }
    }
}

fn target(arguments: &Arguments) -> Result<Foreign, String> {
    let address = &arguments.address;
    let address = address
        .to_socket_addrs()
        .map_err(|error| format!("{address}: {error}"))?
        .next()
        .ok_or_else(|| format!("{address}: no address"))?;
    let recipient = arguments.get("recipient").ok_or(USAGE)?;
    let (_, domain) = recipient.rsplit_once('@').ok_or("--recipient: no domain")?;
    let mut names = Names::default()
        .with("domain", domain)
        .with("rcpt", recipient)
        .with(
            "sender",
            arguments.get("sender").unwrap_or("sender@client.example"),
        );
    for name in ["unknown", "elsewhere", "user", "password"] {
        if let Some(value) = arguments.get(name) {
            names.set(name, value);
        }
    }
    let name = arguments.get("name").unwrap_or("localhost");
    let tls = match (arguments.get("ca"), arguments.get("insecure")) {
        (Some(file), _) => Some(TlsSetting::with_file(&PathBuf::from(file), name)?),
        (None, Some(_)) => Some(TlsSetting::insecure(name)?),
        (None, None) => None,
    };
    Ok(Foreign {
        address,
        names,
        with: arguments.all("with").map(str::to_owned).collect(),
        offer: Offer::default(),
        tls,
        patience: arguments.seconds("wait", 10.0)?,
        silence: arguments.seconds("silence", 1.0)?,
        end: Instant::now() + arguments.seconds("limit", 600.0)?,
    })
}

//! Whether the cases notice anything: each group has faults that turn cases of it red, and no case is passed by servers that say
//! the same to everything. `make conformance-selfcheck` shows which cases noticed which fault.

use std::time::Duration;

use mailwire_conformance::case::{Case, Script};
use mailwire_conformance::runner::{idle, who_notices};
use mailwire_conformance::server::{
    FAULTS, Faulty, Finish, Journal, Memory, Pieces, Said, Setting, Target, Unable, Wire, cases,
    groups, play,
};
use mailwire_conformance::template::Names;

const MEMORY: Memory = Memory {
    pieces: Pieces::Whole,
};

fn all() -> Vec<Case> {
    cases().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn each_fault_turns_a_case_of_its_group_red() {
    let cases = all();
    for fault in FAULTS {
        let faulty = Faulty {
            target: MEMORY,
            fault: *fault,
        };
        let (group, what) = (fault.group, fault.what);
        let sound = |case: &Case| play(case, &MEMORY).verdict;
        let noticed = who_notices(&cases, group, sound, |case| play(case, &faulty).verdict);
        let rows = noticed.unwrap_or_else(|error| panic!("{group}, a server that {what}: {error}"));
        println!("{group:<12} a server that {what}: {}", rows.join(" "));
    }
}

#[test]
fn each_group_has_a_fault() {
    for group in groups() {
        assert!(FAULTS.iter().any(|fault| fault.group == group), "{group}");
    }
}

/// A server that greets, and then says the same to each line.
struct Parrot {
    greeting: &'static str,
    word: &'static str,
}

struct ParrotWire {
    word: &'static [u8],
    output: Vec<u8>,
}

impl Target for Parrot {
    fn open(&self, _: &Script, _: &Setting) -> Result<Box<dyn Wire>, Unable> {
        Ok(Box::new(ParrotWire {
            word: self.word.as_bytes(),
            output: self.greeting.as_bytes().to_vec(),
        }))
    }

    fn names(&self, setting: &Setting) -> Names {
        MEMORY.names(setting)
    }

    fn is_ours(&self) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    fn silence(&self) -> Duration {
        Duration::ZERO
    }
}

impl Wire for ParrotWire {
    fn send(&mut self, octets: &[u8]) {
        for _ in octets.iter().filter(|octet| **octet == b'\n') {
            self.output.extend_from_slice(self.word);
        }
    }

    fn send_in_clear(&mut self, _: &[u8]) {}

    fn receive(&mut self, _: Duration) -> Said {
        if self.output.is_empty() {
            Said::Nothing
        } else {
            Said::Octets(std::mem::take(&mut self.output))
        }
    }

    fn start_tls(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn finish(&mut self, _: Finish) {}

    fn exporter(&self) -> Option<[u8; 32]> {
        None
    }

    fn journal(&self) -> Option<Journal> {
        None
    }
}

#[test]
fn no_conversation_is_passed_by_a_server_that_always_says_the_same() {
    let parrots = [
        ("220 mx.inbox.example ESMTP\r\n", "250 2.0.0 OK\r\n"),
        ("220 mx.inbox.example ESMTP\r\n", "500 5.5.1 No\r\n"),
        ("220 mx.inbox.example ESMTP\r\n", ""),
        ("", ""),
    ]
    .map(|(greeting, word)| Parrot { greeting, word });
    let idle = idle(&all(), |one| {
        let each = parrots.iter().map(|parrot| play(one, parrot).verdict);
        each.collect()
    });
    assert!(idle.is_empty(), "nothing turns these red: {idle:?}");
}

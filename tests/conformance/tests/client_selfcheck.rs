//! Whether the cases of a client notice anything: each group has faults that turn cases of it red, and no conversation is passed by a
//! client that does nothing. `make conformance-selfcheck` shows which cases noticed which fault.

use std::time::Duration;

use mailwire_conformance::case::{Case, Script};
use mailwire_conformance::client::{
    Call, Ending, FAULTS, Faulty, Memory, Own, Report, Setting, Target, Wire, cases, groups, play,
};
use mailwire_conformance::runner::{idle, who_notices};
use mailwire_conformance::server::{Finish, Pieces, Said, Unable};

const MEMORY: Memory = Memory {
    pieces: Pieces::Whole,
};

fn all() -> Vec<Case> {
    cases().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn each_fault_turns_a_case_of_its_group_red() {
    let cases = all();
    let own = Own::new().unwrap_or_else(|error| panic!("{error}"));
    for fault in FAULTS {
        let target: &dyn Target = if fault.over_a_socket { &own } else { &MEMORY };
        let faulty = Faulty {
            target,
            fault: *fault,
        };
        let (group, what) = (fault.group, fault.what);
        let sound = |case: &Case| play(case, target).verdict;
        let noticed = who_notices(&cases, group, sound, |case| play(case, &faulty).verdict);
        let rows = noticed.unwrap_or_else(|error| panic!("{group}, a client that {what}: {error}"));
        println!("{group:<12} a client that {what}: {}", rows.join(" "));
    }
}

#[test]
fn each_group_has_a_fault() {
    for group in groups() {
        assert!(FAULTS.iter().any(|fault| fault.group == group), "{group}");
    }
}

/// A client that does nothing, and says that this is how it ended.
#[derive(Clone, Copy)]
struct Idle(Ending);

impl Target for Idle {
    fn open(&self, _: &Script, _: &Setting) -> Result<Box<dyn Wire>, Unable> {
        Ok(Box::new(*self))
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    fn silence(&self) -> Duration {
        Duration::ZERO
    }
}

impl Wire for Idle {
    fn call(&mut self, _: Call) {}

    fn cancel(&mut self) {}

    fn result(&mut self, _: Duration) -> Option<Report> {
        Some(Report {
            ending: self.0,
            phase: None,
            again: None,
            outcome: None,
            text: String::new(),
        })
    }

    fn send(&mut self, _: &[u8]) {}

    fn receive(&mut self, _: Duration) -> Said {
        Said::Nothing
    }

    fn start_tls(&mut self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn close(&mut self, _: Finish) {}

    fn accept(&mut self, _: Duration) -> bool {
        false
    }

    fn server_name(&self) -> Option<String> {
        None
    }

    fn exporter(&self) -> Option<[u8; 32]> {
        None
    }
}

#[test]
fn no_conversation_is_passed_by_a_client_that_does_nothing() {
    let clients = [Ending::Success, Ending::Failure(None)].map(Idle);
    let idle = idle(&all(), |one| {
        let each = clients.iter().map(|client| play(one, client).verdict);
        each.collect()
    });
    assert!(idle.is_empty(), "nothing turns these red: {idle:?}");
}

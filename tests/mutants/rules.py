"""Mutants for each of the eleven promises of SECURITY.md, and the test that turns red for each.

    python3 tests/mutants/rules.py [RULE ...]

Each mutant is a small change that breaks one rule and nothing else. The tree is copied to build/mutants/tree, the named test is
seen green there, the change is made, and the same test has to turn red: not fail to build, and not some other test. The status is 1
if a mutant stays green, if its test was red before, or if the code that it changes is not there any more.

Rule 12 is that every rule has such a test. Its mutant changes nothing that matters, and the rule holds if it is seen to stay green.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass

from tree import CARGO, ENVIRONMENT, QUICK, TREE, copy

CORE = ["-p", "mailwire", "--no-default-features"]
UNIT = [*CORE, "--lib"]
SERVER = [*CORE, "--test", "server_machine"]
END = [*CORE, "--test", "end_of_data"]
STREAMS = ["-p", "mailwire", "--lib"]
CLIENT = ["-p", "mailwire", "--test", "client"]
REPLAY = ["-p", "mailwire-fuzz", "--test", "replay"]
BINDING = ["-p", "mailwire-ffi", "--lib"]
DURABLE = ["-p", "mailwire", "--test", "durable"]


@dataclass
class Mutant:
    """A broken rule: in `file`, `old` becomes `new`, and `test` of what `cargo test` is told to run turns red."""

    rule: int
    what: str
    file: str
    old: str
    new: str
    arguments: list[str]
    test: str
    stays_green: bool = False


MUTANTS = [
    Mutant(
        1,
        "LF behind the dot ends DATA as well",
        "core/src/proto/data/decode.rs",
        "(State::DotCr, LF) => {",
        "(State::DotCr | State::Dot, LF) => {",
        UNIT,
        "proto::data::decode::tests::s114_to_s119_nothing_but_crlf_dot_crlf_ends_the_data",
    ),
    Mutant(
        1,
        "a message with a bare CR or LF is taken",
        "core/src/proto/server/body.rs",
        "body.discarded |= too_big || bare;",
        "body.discarded |= too_big || (bare && too_big);",
        END,
        "memory::s113_to_s121_nothing_but_crlf_dot_crlf_ends_the_data",
    ),
    Mutant(
        2,
        "bare line ends leave in a message",
        "core/src/proto/data/canonical.rs",
        "            first_notable(text)",
        '            memchr::memmem::find(text, b"\\n.")',
        UNIT,
        "proto::data::encode::tests::c021_bare_line_ends_become_crlf",
    ),
    Mutant(
        2,
        "an argument of VRFY may hold a line end",
        "core/src/proto/client/command.rs",
        "argument.chars().any(char::is_control)",
        "argument.chars().any(|c| c.is_control() && c != '\\r' && c != '\\n')",
        UNIT,
        "proto::client::tests::commands::c004_an_argument_that_could_smuggle_is_refused_before_a_byte_is_queued",
    ),
    Mutant(
        3,
        "the server passes over what came behind STARTTLS",
        "core/src/proto/server/connection.rs",
        "self.close(Closing::Violation);\n                Err(Violation::BytesBehindStartTls)",
        "Ok(Step::Need(input.len(), Need::Tls))",
        SERVER,
        "tls::s173_bytes_that_were_read_before_the_handshake_end_the_connection",
    ),
    Mutant(
        3,
        "the client passes over what came behind the 220",
        "core/src/proto/client/receive.rs",
        "return Err(Violation::BytesBehindStartTls);\n                }\n",
        "return Ok(Progress::Need { used: input.len(), need: Need::Tls });\n                }\n",
        UNIT,
        "proto::client::tests::commands::c081_bytes_behind_the_220_are_a_violation_wherever_they_are_cut",
    ),
    Mutant(
        4,
        "required TLS gives way where STARTTLS was stripped",
        "core/src/client/handshake.rs",
        'policy == TlsPolicy::Required && !self.capabilities().has("STARTTLS")',
        'policy == TlsPolicy::Implicit && !self.capabilities().has("STARTTLS")',
        CLIENT,
        "faults::every_fault_has_its_own_text_with_the_place_and_what_to_try",
    ),
    Mutant(
        4,
        "nobody looks at the server's certificate",
        "core/src/tls/client.rs",
        "                root_verifier(store)?\n",
        "                root_verifier(store).map(|_| Arc::new(AnyCertificate(provider())))?\n",
        STREAMS,
        "net::tests::handshake::every_wrong_certificate_is_named_by_its_fault",
    ),
    Mutant(
        5,
        "250 is said before the application took the message",
        "core/src/proto/server/body.rs",
        "self.owed = Owed::EndOfData {",
        "self.outbox.text(replies::OK);\n                self.owed = Owed::EndOfData {",
        SERVER,
        "data::rule_5_no_byte_says_250_before_the_application_did",
    ),
    Mutant(
        6,
        "a line without an end is kept for ever",
        "core/src/proto/line.rs",
        "if self.skipped + input.len() < limit {",
        "if self.skipped + input.len() < usize::MAX {",
        UNIT,
        "proto::line::tests::a_line_without_end_is_given_up_and_not_kept",
    ),
    Mutant(
        7,
        "a short argument of MAIL panics",
        "core/src/proto/command.rs",
        "match argument.split_at_checked(word.len()) {",
        "match Some(argument.split_at(word.len())) {",
        REPLAY,
        "command",
    ),
    Mutant(
        7,
        "a panic crosses into C",
        "ffi/src/guard.rs",
        "let result = panic::catch_unwind(AssertUnwindSafe(work));",
        "let result: std::thread::Result<T> = Ok(work());",
        BINDING,
        "guard::tests::a_panic_becomes_a_text_with_its_place",
    ),
    Mutant(
        8,
        "a lost reply to the end of data reads as not tried",
        "core/src/proto/client/transaction.rs",
        "self.decide_without_reply(Delivery::Unknown, Some(Phase::EndOfData));",
        "self.decide_without_reply(Delivery::NotTried, Some(Phase::EndOfData));",
        UNIT,
        "proto::client::tests::lost::c055_after_the_end_of_data_the_result_is_unknown_and_before_it_is_not_tried",
    ),
    Mutant(
        9,
        "the EHLO name survives STARTTLS",
        "core/src/proto/server/connection.rs",
        "        self.tls = Some(self.shown_to_client(tls));\n        self.hello = None;\n",
        "        self.tls = Some(self.shown_to_client(tls));\n",
        SERVER,
        "tls::s170_s174_s175_s176_tls_starts_the_session_anew",
    ),
    Mutant(
        9,
        "AUTH takes a password in clear",
        "core/src/proto/server/config.rs",
        "bound && self.is_safe(mechanism.needs_tls(), tls) &&",
        "bound && self.is_safe(false, tls) &&",
        SERVER,
        "auth::s187_s201_s202_s214_mechanisms",
    ),
    Mutant(
        6,
        "chunks may announce more than can be counted",
        "core/src/proto/chunk/decode.rs",
        ".and_then(|all| all.checked_add(size));",
        ".map(|all| all.saturating_add(size));",
        REPLAY,
        "chunks",
    ),
    Mutant(
        9,
        "SCRAM takes any proof of the server",
        "core/src/sasl/scram/client.rs",
        "if !signature.same_as(expected.expose()) {",
        "if !signature.same_as(expected.expose()) && signature.expose().is_empty() {",
        UNIT,
        "sasl::scram::tests::c115_c116_a_server_that_proves_nothing_is_not_believed",
    ),
    Mutant(
        10,
        "strangers name any recipient where networks alone are trusted",
        "core/src/server/relay.rs",
        "self.domains.is_some() || self.trusted_networks.is_some()",
        "self.domains.is_some()",
        STREAMS,
        "server::tests::relay::where_only_networks_are_set_strangers_reach_the_postmaster_alone",
    ),
    Mutant(
        10,
        "a user sends in the name of another one",
        "core/src/server/relay.rs",
        "at_own && mailbox.is_of(user)",
        "at_own",
        STREAMS,
        "server::tests::relay::s341_a_user_sends_in_no_other_name",
    ),
    Mutant(
        10,
        "a client behind XCLIENT has the certificate of its proxy",
        "core/src/proto/server/connection.rs",
        "if self.speaks_for_another {\n            tls.without_peer()",
        "if self.speaks_for_another && !self.trusted {\n            tls.without_peer()",
        SERVER,
        "verbs::s377_behind_xclient_the_certificate_and_the_channel_of_the_proxy_are_not_offered",
    ),
    Mutant(
        11,
        "an account is never locked",
        "core/src/server/attempts.rs",
        "            return Gate::Locked(ACCOUNT_LOCKED);",
        "            {}",
        STREAMS,
        "server::tests::attempts::s239_an_account_is_locked_at_its_edge_and_others_are_not",
    ),
    Mutant(
        11,
        "logins at once are not counted",
        "core/src/server/attempts.rs",
        "            return Gate::Full;",
        "            {}",
        STREAMS,
        "server::attempts::tests::those_that_are_being_judged_count_until_they_were",
    ),
    Mutant(
        11,
        "a guess does not count if a violation ends its session",
        "core/src/server/session.rs",
        "        self.note_attempt();\n        self.note_refusals();\n",
        "        if heard.is_ok() {\n            self.note_attempt();\n        }\n        self.note_refusals();\n",
        STREAMS,
        "server::tests::attempts::a_guess_counts_though_its_session_ends_in_a_violation_behind_it",
    ),
    Mutant(
        11,
        "an exchange that is given up costs nothing",
        "core/src/server/attempts.rs",
        "        if self.has_cost {",
        "        if self.has_cost && self.attempt.address.is_none() {",
        STREAMS,
        "server::tests::logins::an_exchange_that_is_given_up_counts_for_its_address_and_not_for_its_account",
    ),
    Mutant(
        11,
        "an exchange that is left open keeps its place",
        "core/src/server/attempts/open.rs",
        "let turn = oldest.map(|(&number, _)| Turn { account, number });",
        "let turn = oldest.map(|(&number, _)| Turn { account, number }).filter(|_| false);",
        STREAMS,
        "server::tests::logins::exchanges_that_are_left_open_and_renewed_keep_no_user_out_of_a_new_place",
    ),
    Mutant(
        11,
        "XCLIENT in the same packet has a failure forgotten",
        "core/src/proto/server/auth.rs",
        "        self.failed_of_others = self.failed;",
        "        *self = Self::default();",
        STREAMS,
        "server::tests::logins::every_failure_counts_though_a_proxy_goes_on_with_another_client_in_the_same_packet",
    ),
    Mutant(
        4,
        "a server goes on with the certificate that was replaced",
        "core/src/server/serve.rs",
        "*current = Some(tls);",
        "drop(tls);",
        STREAMS,
        "server::tests::tls::a_new_certificate_is_used_from_the_next_handshake_on",
    ),
    Mutant(
        5,
        "250 does not wait for the folder to be on the disk",
        "core/src/disposition/draft.rs",
        "messages.sync_all().map_err(",
        "messages.metadata().map(drop).map_err(",
        DURABLE,
        "trace::s136_the_250_is_sent_when_file_name_and_folder_are_on_the_disk",
    ),
    Mutant(
        5,
        "250 does not wait for the file to be on the disk",
        "core/src/disposition/draft.rs",
        "let synced = draft.file.sync_all();",
        "let synced = draft.file.metadata();",
        DURABLE,
        "trace::of_many_at_once_no_250_comes_before_its_message_is_on_the_disk",
    ),
    Mutant(
        5,
        "250 comes when the message of another session is on the disk",
        "core/src/disposition/draft.rs",
        "    match aside(move || draft.finish()).await {\n        Ok(()) => Answers::accept(),",
        "    static DONE: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(0);\n"
        "    tokio::spawn(async move {\n"
        "        let _ = aside(move || draft.finish()).await;\n"
        "        DONE.add_permits(1);\n"
        "    });\n"
        "    let done: Result<(), Error> = DONE.acquire().await.map(|one| one.forget()).map_err(|_| unreachable!());\n"
        "    match done {\n        Ok(()) => Answers::accept(),",
        DURABLE,
        "trace::of_many_at_once_no_250_comes_before_its_message_is_on_the_disk",
    ),
    Mutant(
        6,
        "one connection more than may be is let in",
        "core/src/server/limits.rs",
        "if open.all >= self.most {",
        "if open.all > self.most {",
        STREAMS,
        "server::tests::limits::s033_a_server_that_is_full_greets_with_421",
    ),
    Mutant(
        6,
        "a connection that ended still counts for its address",
        "core/src/server/limits.rs",
        "            *count -= 1;\n",
        "",
        STREAMS,
        "server::limits::tests::connections_are_limited_in_all_and_by_address",
    ),
    Mutant(
        6,
        "the application may take as long as it likes to answer an event",
        "core/src/blocking/server/session.rs",
        "let until = Instant::now() + self.answer_timeout;",
        "let until = Instant::now() + self.answer_timeout * 1000;",
        STREAMS,
        "blocking::server::tests::answers::unanswered_is_451_and_an_answer_after_that_comes_too_late",
    ),
    Mutant(
        6,
        "memory of a message that is gone still counts",
        "core/src/server/memory.rs",
        "        self.room.give_back(self.octets);",
        "        let _ = (&self.room, self.octets);",
        STREAMS,
        "server::tests::memory::what_a_long_list_has_counted_does_not_outlive_it_where_commands_come_in_one_go",
    ),
    Mutant(
        12,
        "nothing that matters",
        "core/src/proto/limits.rs",
        "/// Lines in one reply.",
        "/// How many lines one reply may have.",
        UNIT,
        "proto::line::tests::only_crlf_ends_a_line",
        stays_green=True,
    ),
]


def colour(mutant: Mutant) -> str:
    """Green, red, or why it is neither."""
    command = [CARGO, "test", "--locked", *QUICK, *mutant.arguments, "--", "--exact", mutant.test]
    done = subprocess.run(command, cwd=TREE, env=ENVIRONMENT, capture_output=True, text=True)
    verdict = re.search(rf"^test {re.escape(mutant.test)} \.\.\. (ok|FAILED)$", done.stdout, re.MULTILINE)
    if verdict is None:
        return f"neither: {(done.stderr or done.stdout)[-1500:]}"
    return "green" if verdict[1] == "ok" else "red"


def verdict(mutant: Mutant) -> str | None:
    """What is wrong with it, if anything is."""
    file = TREE / mutant.file
    text = file.read_text()
    if text.count(mutant.old) != 1:
        return f"the code to change stands {text.count(mutant.old)} times in {mutant.file}"
    before = colour(mutant)
    if before != "green":
        return f"{mutant.test} is not green without it: {before}"
    file.write_text(text.replace(mutant.old, mutant.new))
    after = colour(mutant)
    file.write_text(text)
    expected = "green" if mutant.stays_green else "red"
    return None if after == expected else f"{mutant.test} should turn {expected} and is {after}"


def main(rules: list[str]) -> int:
    missing = set(range(1, 13)) - {mutant.rule for mutant in MUTANTS}
    if missing:
        print(f"no mutant for rule {missing}")
        return 1
    copy()
    wrong = 0
    for mutant in MUTANTS:
        if rules and str(mutant.rule) not in rules:
            continue
        complaint = verdict(mutant)
        wrong += complaint is not None
        seen = complaint or ("stayed green, as it should" if mutant.stays_green else f"caught by {mutant.test}")
        print(f"rule {mutant.rule}: {mutant.what}: {seen}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

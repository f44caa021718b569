//! Runs many cases and tells which are not as they have to be: what the tests of both sides have in common. A judge plays a case against
//! some target and gives the verdict.

use std::thread;

use crate::case::Case;
use crate::server::Pieces;
use crate::verdict::Verdict;

/// Conversations over sockets at a time: most of their time is spent waiting for silence.
const WORKERS: usize = 8;

/// What is wrong with cases of ours. What one target cannot show, another one has to.
pub fn complaints(cases: &[Case], judge: impl Fn(&Case) -> Verdict) -> Vec<String> {
    let complaint = |case| complaint(case, judge(case));
    cases.iter().filter_map(complaint).collect()
}

/// The same with what is sent cut in two, at one place in `stride`. `play` gives how many octets were sent too.
pub fn complaints_when_cut(
    cases: &[Case],
    play: impl Fn(&Case, Pieces) -> (Verdict, usize),
    stride: impl Fn(&Case, usize) -> usize,
) -> Vec<String> {
    let first_complaint = |case: &Case| {
        let (_, sent) = play(case, Pieces::Whole);
        let cut = |place| {
            let what = complaint(case, play(case, Pieces::CutAt(place)).0)?;
            Some(format!("cut at {place}: {what}"))
        };
        let stride = stride(case, sent).max(1);
        (1..sent).step_by(stride).find_map(cut)
    };
    cases.iter().filter_map(first_complaint).collect()
}

/// The same over sockets, each conversation by itself: one that nobody can judge would hide behind the others. What cannot be judged
/// there must have been in memory.
pub fn complaints_over_sockets(
    cases: &[Case],
    judge: impl Fn(&Case) -> Verdict + Sync,
    in_memory: impl Fn(&Case) -> Verdict + Sync,
) -> Vec<String> {
    let conversation = |one: Case| match judge(&one) {
        Verdict::Inconclusive(_) if in_memory(&one) == Verdict::Conformant => None,
        Verdict::Inconclusive(why) => complaint(&one, Verdict::Not(why)),
        verdict => complaint(&one, verdict),
    };
    let share = |first: usize| {
        let cases = cases.iter().skip(first).step_by(WORKERS);
        let complaints = cases.flat_map(Case::conversations).filter_map(conversation);
        complaints.collect::<Vec<String>>()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|first| scope.spawn(move || share(first)))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|_| vec!["a panic".to_owned()]))
            .collect()
    })
}

/// The rows whose cases notice a fault of their group. The error says that nobody does, or that the group was not green without it.
pub fn who_notices<'a>(
    cases: &'a [Case],
    group: &str,
    sound: impl Fn(&Case) -> Verdict,
    faulty: impl Fn(&Case) -> Verdict,
) -> Result<Vec<&'a str>, String> {
    let cases = || cases.iter().filter(|case| case.group == group);
    if let Some(case) = cases().find(|case| is_red(case, &sound)) {
        return Err(format!("{} is red without a fault", case.id));
    }
    let red = cases().filter(|case| is_red(case, &faulty));
    let red: Vec<&str> = red.map(|case| case.id.as_str()).collect();
    if red.is_empty() {
        return Err("nobody notices".to_owned());
    }
    Ok(red)
}

/// Conversations that none of the judges finds anything amiss with, though all their targets do nothing worth the name.
pub fn idle(cases: &[Case], judge: impl Fn(&Case) -> Vec<Verdict>) -> Vec<String> {
    let red = |one: &Case| judge(one).iter().any(|how| matches!(how, Verdict::Not(_)));
    let conversations = cases.iter().flat_map(Case::conversations);
    conversations
        .filter(|one| !red(one))
        .map(|one| place(&one))
        .collect()
}

fn is_red(case: &Case, judge: impl Fn(&Case) -> Verdict) -> bool {
    matches!(judge(case), Verdict::Not(_))
}

fn complaint(case: &Case, verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::Conformant | Verdict::Inconclusive(_) => None,
        Verdict::Latitude(what) | Verdict::Not(what) => Some(format!("{}: {what}", place(case))),
    }
}

/// The row's number, its group, and the line where the first conversation begins.
fn place(case: &Case) -> String {
    let step = case.scripts.first().and_then(|script| script.steps.first());
    let line = step.map_or(0, |step| step.line);
    format!("{} ({} line {line})", case.id, case.group)
}

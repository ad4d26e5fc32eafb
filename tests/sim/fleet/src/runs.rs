//! Many seeds on all CPUs, and what comes of them.

use crate::laws::Seen;
use crate::plan::Weather;
use crate::world::World;
use reeve_core::election::Plant;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub seeds: u64,
    pub from: u64,
    pub transcript: bool,
    pub mutants: bool,
    pub slots: bool,
    pub mutant: Option<Mutant>,
}

impl Default for Asked {
    fn default() -> Self {
        Self { seeds: 2000, from: 1, transcript: false, mutants: false, slots: false, mutant: None }
    }
}

/// A defect in the core or in the clock beneath it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    Core(Plant),
    BlindClock,
}

impl Mutant {
    fn all() -> impl Iterator<Item = Mutant> {
        Plant::ALL.into_iter().map(Mutant::Core).chain([Mutant::BlindClock])
    }

    pub fn name(self) -> String {
        match self {
            Mutant::Core(plant) => format!("{plant:?}"),
            Mutant::BlindClock => "BlindClock".to_owned(),
        }
    }

    pub fn named(name: &str) -> Option<Mutant> {
        Self::all().find(|mutant| mutant.name() == name)
    }
}

impl Mutant {
    /// The laws that it may break: one that falls to another was not found for what it is.
    fn breaks(self) -> &'static [&'static str] {
        match self {
            Mutant::BlindClock => &["I2"],
            Mutant::Core(plant) => match plant {
                Plant::VoteNotWritten | Plant::OwnVoteUnwritten => &["I1", "I4"],
                Plant::TermNotWritten => &["I4"],
                Plant::NotSticky | Plant::NoBootGrace | Plant::LeaseFromReceipt | Plant::LeaseAfterHandOver => &["I2"],
                Plant::NoFreshness | Plant::CommitsOlderTerm | Plant::ServesEarly | Plant::CommitsForeignLine => {
                    &["I3"]
                }
                Plant::AnyFileCounts | Plant::HastyVoterChange => &["I1", "I3"],
                Plant::NoPreVote | Plant::NoCheckQuorum => &["L1", "L2"],
            },
        }
    }
}

struct Outcome {
    steps: u64,
    seen: Seen,
    weather: Weather,
    standard: bool,
    broken: Option<String>,
}

/// What is wrong with a run; a panic is.
pub fn catch(run: impl FnOnce() -> Result<(), String>) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.err(),
        Err(panic) => Some(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "panic".into())),
    }
}

/// Each seed once, on all CPUs, until one run says `false`; what they add up to.
pub fn on_all_cpus<T: Default + Send>(from: u64, seeds: u64, one: impl Fn(u64, &Mutex<T>) -> bool + Sync) -> T {
    let (next, total) = (AtomicU64::new(from), Mutex::new(T::default()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    if !one(seed, &total) {
                        next.store(from + seeds, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    total.into_inner().unwrap()
}

fn one(seed: u64, mutant: Option<Mutant>, trail: bool) -> (Outcome, Vec<String>) {
    let mut world = World::new(seed, mutant, trail);
    let broken = catch(|| world.run());
    let standard = world.plan.timing == reeve_core::election::Timing::STD && world.plan.voters > 1;
    let seen = std::mem::take(&mut world.laws.seen);
    let weather = world.plan.weather;
    (Outcome { steps: world.steps, seen, weather, standard, broken }, world.trail())
}

#[derive(Default)]
struct Total {
    runs: u64,
    steps: u64,
    seen: Seen,
    fair_runs: u64,
    fair_elections: u64,
    broken: Vec<(u64, String)>,
}

impl Total {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.runs += 1;
        self.steps += outcome.steps;
        self.seen.elections += outcome.seen.elections;
        self.seen.commits += outcome.seen.commits;
        self.seen.handovers += outcome.seen.handovers;
        self.seen.silent += outcome.seen.silent;
        self.seen.voter_changes += outcome.seen.voter_changes;
        if outcome.weather == Weather::Kills && outcome.standard {
            self.seen.failovers.extend(outcome.seen.failovers);
        }
        if outcome.weather == Weather::Fair {
            self.fair_runs += 1;
            self.fair_elections += outcome.seen.elections;
        }
        self.broken.extend(outcome.broken.map(|why| (seed, why)));
    }
}

/// Runs them on all CPUs; stops at this many broken ones that count.
fn run(from: u64, seeds: u64, mutant: Option<Mutant>, most: usize) -> Total {
    let counts = |why: &str| mutant.is_none_or(|mutant| mutant.breaks().iter().any(|law| why.starts_with(law)));
    on_all_cpus(from, seeds, |seed, total: &Mutex<Total>| {
        let (mut outcome, _) = one(seed, mutant, false);
        outcome.broken = outcome.broken.filter(|why| counts(why));
        let mut total = total.lock().unwrap();
        total.add(seed, outcome);
        total.broken.len() < most
    })
}

pub fn seeds(asked: &Asked) -> ExitCode {
    let began = Instant::now();
    let mut total = run(asked.from, asked.seeds, asked.mutant, 10);
    total.broken.sort();
    if let Some((seed, _)) = total.broken.first().filter(|_| !asked.transcript) {
        println!("the last of seed {seed}:");
        let lines = one(*seed, asked.mutant, true).1;
        lines[lines.len().saturating_sub(60)..].iter().for_each(|line| println!("{line}"));
    }
    if asked.transcript {
        one(asked.from, asked.mutant, true).1.iter().for_each(|line| println!("{line}"));
    }
    for (seed, why) in &total.broken {
        println!("seed {seed}: {why}   (scripts/sim --seed {seed})");
    }
    let seen = &mut total.seen;
    println!(
        "from seed {}: {} steps in {:.0} s; {} elections, {} versions committed, {} hand-overs, {} voter changes, {} \
         voters fell silent",
        asked.from,
        total.steps,
        began.elapsed().as_secs_f64(),
        seen.elections,
        seen.commits,
        seen.handovers,
        seen.voter_changes,
        seen.silent
    );
    seen.failovers.sort_unstable();
    if let Some(last) = seen.failovers.last() {
        let at = |per_mille: usize| seen.failovers[(seen.failovers.len() - 1) * per_mille / 1000];
        println!(
            "killed leader to next lease, standard times, {} kills: p50 {} ms, p99 {} ms, longest {last} ms",
            seen.failovers.len(),
            at(500),
            at(990)
        );
    }
    if total.fair_runs > 0 {
        let extra = total.fair_elections.saturating_sub(total.fair_runs);
        println!("in fair weather: {extra} elections after the first in {} hours", total.fair_runs * 2 / 60);
    }
    println!("{} seeds, {} violations", total.runs, total.broken.len());
    if total.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

pub fn mutants(asked: &Asked) -> ExitCode {
    let (mut all, mut missed) = (0, 0);
    for mutant in Mutant::all() {
        all += 1;
        let mut total = run(asked.from, asked.seeds, Some(mutant), 1);
        total.broken.sort();
        match total.broken.first() {
            Some((seed, why)) => println!("{:20} found by seed {seed}: {why}", mutant.name()),
            None => {
                missed += 1;
                println!("{:20} MISSED in {} seeds", mutant.name(), total.runs);
            }
        }
    }
    let (more, more_missed) = crate::slots::mutants(asked);
    (all, missed) = (all + more, missed + more_missed);
    println!("{all} mutants, {missed} missed");
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as a test may take; scripts/sim runs more.
    #[test]
    fn rec_02_every_seed_keeps_the_laws() {
        let total = run(1, 300, None, 1);
        assert!(total.broken.is_empty(), "{:?}", total.broken);
        assert!(total.seen.elections > 300 && total.seen.commits > 3000, "{:?}", total.seen.elections);
    }

    #[test]
    fn the_same_seed_is_the_same_run() {
        let again = |_| one(7, None, true).1;
        assert_eq!(again(0), again(1));
    }
}

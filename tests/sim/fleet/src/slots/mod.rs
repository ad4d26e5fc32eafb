//! Slots and registry in whole fleets: `scripts/sim --slots`.

mod world;

use crate::runs::{Asked, catch, on_all_cpus};
use reeve_core::fleet::FleetPlant;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;
use world::{Seen, World};

fn one(seed: u64, plant: Option<FleetPlant>, trail: bool) -> (Option<String>, Seen, u64, Vec<String>) {
    let mut world = World::new(seed, plant, trail);
    let broken = catch(|| world.run());
    let trail = world.trail();
    (broken, std::mem::take(&mut world.seen), world.steps, trail)
}

/// The laws that it may break.
fn breaks(plant: FleetPlant) -> &'static [&'static str] {
    match plant {
        FleetPlant::GrantsUncommitted => &["I6", "I5", "L3"],
        FleetPlant::SuspectIsFree => &["I5", "I6"],
        FleetPlant::GrantFromReceipt => &["I6"],
        FleetPlant::OldLifeHolds => &["I6"],
    }
}

#[derive(Default)]
struct Total {
    runs: u64,
    steps: u64,
    seen: Seen,
    broken: Vec<(u64, String)>,
}

fn run(from: u64, seeds: u64, plant: Option<FleetPlant>, most: usize) -> Total {
    let counts = |why: &str| plant.is_none_or(|plant| breaks(plant).iter().any(|law| why.starts_with(law)));
    let mut total = on_all_cpus(from, seeds, |seed, total: &Mutex<Total>| {
        let (broken, seen, steps, _) = one(seed, plant, false);
        let mut total = total.lock().unwrap();
        total.runs += 1;
        total.steps += steps;
        total.seen.grants += seen.grants;
        total.seen.releases += seen.releases;
        total.seen.suspects += seen.suspects;
        total.seen.breaks += seen.breaks;
        total.seen.kills += seen.kills;
        total.seen.quick.extend(seen.quick);
        total.broken.extend(broken.filter(|why| counts(why)).map(|why| (seed, why)));
        total.broken.len() < most
    });
    total.broken.sort();
    total
}

pub fn seeds(asked: &Asked) -> ExitCode {
    let began = Instant::now();
    let mut total = run(asked.from, asked.seeds, None, 10);
    if asked.transcript {
        one(asked.from, None, true).3.iter().for_each(|line| println!("{line}"));
    } else if let Some((seed, _)) = total.broken.first() {
        let lines = one(*seed, None, true).3;
        println!("the last of seed {seed}:");
        lines[lines.len().saturating_sub(60)..].iter().for_each(|line| println!("{line}"));
    }
    for (seed, why) in &total.broken {
        println!("seed {seed}: {why}   (scripts/sim --slots --seed {seed})");
    }
    let seen = &mut total.seen;
    seen.quick.sort_unstable();
    let at =
        |share: usize| seen.quick.get(seen.quick.len().saturating_sub(1) * share / 100).copied().unwrap_or(0) / 1000;
    println!(
        "slots from seed {}: {} steps in {:.0} s; {} granted, {} released, {} versions with a suspect, {} broken, {} kills; \
         granted in calm after p50 {} ms, p90 {} ms",
        asked.from,
        total.steps,
        began.elapsed().as_secs_f64(),
        seen.grants,
        seen.releases,
        seen.suspects,
        seen.breaks,
        seen.kills,
        at(50),
        at(90)
    );
    println!("{} seeds, {} violations", total.runs, total.broken.len());
    if total.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// How many defects there are, and how many of them were missed.
pub fn mutants(asked: &Asked) -> (u64, u64) {
    let (mut all, mut missed) = (0, 0);
    for plant in FleetPlant::ALL {
        all += 1;
        let total = run(asked.from, asked.seeds, Some(plant), 1);
        match total.broken.first() {
            Some((seed, why)) => println!("{:20} found by seed {seed}: {why}", format!("{plant:?}")),
            None => {
                missed += 1;
                println!("{:20} MISSED in {} seeds", format!("{plant:?}"), total.runs);
            }
        }
    }
    (all, missed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as a test may take; scripts/sim --slots runs more.
    #[test]
    fn mnt_09_every_seed_keeps_the_laws() {
        let total = run(1, 60, None, 1);
        assert!(total.broken.is_empty(), "{:?}", total.broken);
        assert!(total.seen.grants > 600, "{:?}", total.seen.grants);
    }
}

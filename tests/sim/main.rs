//! Random lives of a node with everything fake but the core: crashes, probes, reloads, commands, suspend, and the
//! daemon killed between any two effects. A failing seed prints itself and what happened.
//!
//! `REEVE_SIM_SEEDS` says how many seeds are run (default 2000), `REEVE_SIM_FIRST` which is the first (default 1).

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the bans are the core's; the simulation runs it on threads and reads how many seeds to try"
)]
#![expect(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

mod config;
mod cost;
mod laws;
mod script;
mod store;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use world::World;

type Seen = BTreeMap<&'static str, u64>;

fn run(seed: u64, trail: bool) -> (Result<(u64, Seen), String>, Vec<String>) {
    let mut world = World::new(seed, trail);
    let played = catch_unwind(AssertUnwindSafe(|| script::play(&mut world)));
    let result = match played {
        Ok(Ok(())) => Ok((world.steps, std::mem::take(&mut world.seen))),
        Ok(Err(why)) => Err(why),
        Err(panic) => Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "panic".into())),
    };
    (result, world.trail.take().unwrap_or_default())
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn every_seed_keeps_the_laws() {
    let seeds = number("REEVE_SIM_SEEDS", 2000);
    let first = number("REEVE_SIM_FIRST", 1);
    let most = number("REEVE_SIM_FAILURES", 1) as usize;
    let (next, steps) = (AtomicU64::new(first), AtomicU64::new(0));
    let failed: Mutex<Vec<(u64, String)>> = Mutex::new(Vec::new());
    let seen: Mutex<Seen> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || failed.lock().unwrap().len() >= most {
                        return;
                    }
                    match run(seed, false).0 {
                        Ok((n, some)) => {
                            steps.fetch_add(n, Ordering::Relaxed);
                            let mut seen = seen.lock().unwrap();
                            some.into_iter().for_each(|(word, n)| *seen.entry(word).or_default() += n);
                        }
                        Err(why) => failed.lock().unwrap().push((seed, why)),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    if let Some((seed, why)) = failed.iter().min() {
        let (again, trail) = run(*seed, true);
        let tail = trail.len().saturating_sub(number("REEVE_SIM_TRAIL", 120) as usize);
        for line in &trail[tail..] {
            println!("{line}");
        }
        for (seed, why) in &failed {
            println!("seed {seed}: {why}");
        }
        panic!("seed {seed}: {why} (again: {again:?}); run it alone with REEVE_SIM_FIRST={seed} REEVE_SIM_SEEDS=1");
    }
    let seen = seen.into_inner().unwrap();
    println!("{seeds} seeds from {first}, {} steps; seen: {seen:?}", steps.load(Ordering::Relaxed));
    // What the laws are about has happened.
    if seeds >= 1000 {
        for word in [
            "damped",
            "damping-over",
            "crash-loop",
            "crash-loop-over",
            "drain-timeout",
            "worker-isolated",
            "gpu-out",
            "gpu-back",
            "gpu-stragglers",
        ] {
            assert!(seen.contains_key(word), "no {word} in {seeds} seeds");
        }
    }
}

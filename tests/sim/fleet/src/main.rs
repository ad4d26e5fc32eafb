//! Fleets in virtual time over the real core: what scripts/sim runs.
//!
//! Everything but the core is played here: clocks that run apart, disks that lose and tear, brokers, processes that die,
//! stop and sleep. Every law is asked at every step.

#![expect(clippy::print_stderr, reason = "a program for people")]
#![expect(clippy::unwrap_used, reason = "a test that breaks should break loudly")]

mod clock;
mod faults;
mod laws;
mod net;
mod node;
mod plan;
mod queue;
mod runs;
mod slots;
mod world;

use std::process::ExitCode;

const USAGE: &str = "usage: scripts/sim [--seeds N] [--from SEED] [--seed S] [--slots] [--mutants] [--mutant NAME]

  --seeds N      that many seeds (2000), each 120 virtual seconds of a fleet
  --from SEED    the first of them (1)
  --seed S       this one alone, with its transcript
  --slots        whole fleets with slots and registry, 150 virtual seconds each, instead of elections alone
  --mutants      plants one defect after the other in the core: each must be found within the seeds
  --mutant NAME  with this one planted, found or not

The last line is \"N seeds, F violations\", of --mutants \"N mutants, M missed\". Exit code 0 if that is 0, 1 if not, 2 usage.";

fn main() -> ExitCode {
    let mut asked = runs::Asked::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = |what: &mut u64| match words.next().map(|text| text.parse()) {
            Some(Ok(n)) => {
                *what = n;
                true
            }
            _ => false,
        };
        let good = match word.as_str() {
            "--seeds" => number(&mut asked.seeds),
            "--from" => number(&mut asked.from),
            "--seed" => {
                asked.transcript = true;
                asked.seeds = 1;
                number(&mut asked.from)
            }
            "--mutants" => {
                asked.mutants = true;
                true
            }
            "--mutant" => {
                asked.mutant = words.next().and_then(|name| runs::Mutant::named(&name));
                asked.mutant.is_some()
            }
            "--slots" => {
                asked.slots = true;
                true
            }
            "-h" | "--help" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            _ => false,
        };
        if !good {
            eprintln!("sim: cannot use {word:?}\n{USAGE}");
            return ExitCode::from(2);
        }
    }
    match (asked.mutants, asked.slots) {
        (true, _) => runs::mutants(&asked),
        (_, true) => slots::seeds(&asked),
        _ => runs::seeds(&asked),
    }
}

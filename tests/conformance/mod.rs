//! What every launcher must do, one function per behaviour.
//!
//! The suite knows only the [`Launcher`](reeve::host::launcher::Launcher) trait and its channel. A test program makes a
//! [`Bench`] per case and hands it to [`run`]; it must be the only user of that launcher. Runs are ordered one after the
//! other, since a launcher owns the children of the whole process.

mod bench;
mod cases;

pub use bench::{Bench, Outcome, Subject, alive, until};
pub use cases::CASES;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// One behaviour.
pub type Body = for<'a> fn(&'a mut Bench) -> bench::Pending<'a>;

/// What the command line asks for: names to run (parts of them), all without any.
pub struct Wanted {
    filters: Vec<String>,
    exact: bool,
    list: bool,
}

impl Wanted {
    /// Reads the command line as the usual test programs do.
    pub fn from_args() -> Self {
        let args: Vec<String> = std::env::args().skip(1).collect();
        Self {
            exact: args.iter().any(|a| a == "--exact"),
            list: args.iter().any(|a| a == "--list"),
            filters: args.into_iter().filter(|a| !a.starts_with('-')).collect(),
        }
    }

    fn takes(&self, name: &str) -> bool {
        self.filters.is_empty()
            || self.filters.iter().any(|f| if self.exact { name == f } else { name.contains(f.as_str()) })
    }
}

/// Runs the cases that are wanted, each on a bench of its own; returns how many failed.
pub fn run(wanted: &Wanted, group: &str, cases: &[(&str, Body)], make: &dyn Fn() -> Bench) -> usize {
    let mut failed = 0;
    for (case, body) in cases {
        let name = format!("{group}::{case}");
        if !wanted.takes(&name) {
            continue;
        }
        if wanted.list {
            println!("{name}: test");
            continue;
        }
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let mut bench = make();
                let outcome = body(&mut bench).await;
                bench.launcher.close();
                outcome
            })
        }));
        let took = began.elapsed().as_millis();
        match outcome {
            Ok(Outcome::Done) => println!("test {name} ... ok ({took} ms)"),
            Ok(Outcome::Skipped(why)) => println!("test {name} ... skipped: {why}"),
            Err(_) => {
                println!("test {name} ... FAILED");
                failed += 1;
            }
        }
    }
    failed
}

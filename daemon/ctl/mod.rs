//! `reevectl`: speaks D-Bus only, through [`crate::bus::proxy`]. One file per verb under `verbs`.
//!
//! - [`args`]: what can be typed. - [`context`]: what a verb works with: connection, style, output.
//! - [`failure`]: exit codes and messages. - [`wait`]: following a change to its end.
//! - [`json`]: the documents for programs. - [`render`]: the screens for people.

mod agent;
pub mod args;
mod context;
mod failure;
#[cfg(test)]
pub(crate) mod fixtures;
mod json;
mod output;
mod render;
mod top;
mod verbs;
mod wait;

use clap::Parser;
use context::Ctl;
use failure::{Failure, USAGE};
use output::Output;
use std::process::ExitCode;

/// Everything `reevectl` does.
pub fn reevectl_main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that nobody reads to the end is no failure.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("reevectl: cannot start its runtime: {error}");
            return ExitCode::from(failure::NO);
        }
    };
    let code = runtime.block_on(run(cli, Output::stdio()));
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Carries out one command line; the exit code.
async fn run(cli: args::Cli, output: Output) -> u8 {
    let result = match Ctl::new(cli.global, output) {
        Ok(ctl) => {
            let result = verbs::run(&ctl, &cli.verb).await;
            if let Err(failure) = &result {
                failure.report(&ctl);
            }
            result
        }
        Err(usage) => {
            eprintln!("reevectl: {usage}");
            Err(Failure::Usage(usage))
        }
    };
    result.unwrap_or_else(|failure| failure.code())
}

#[cfg(test)]
mod tests;

//! The daemon: keeps the workers of this node running. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    reeve::app::reeved_main()
}

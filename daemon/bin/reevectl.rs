//! `reevectl`: shows and steers the workers of this node.

use std::process::ExitCode;

fn main() -> ExitCode {
    reeve::ctl::reevectl_main()
}

//! Writes what the packages install beside the programs: man pages, completions, the journal catalogue.
//!
//! Everything comes from the definitions the programs themselves use. It goes to `REEVE_ASSETS_DIR`, else below
//! `OUT_DIR`: `man/*`, `completions/{bash,zsh,fish}/*`, `catalog/reeve.catalog`.

#[path = "build/api.rs"]
mod api;
#[path = "build/keys.rs"]
mod keys;
#[path = "build/man.rs"]
mod man;
#[path = "build/metrics.rs"]
mod metrics;
#[path = "build/roff.rs"]
mod roff;

#[path = "ctl/args/mod.rs"]
mod reevectl;
#[path = "app/args.rs"]
#[expect(dead_code, reason = "the build reads the definitions, not what was typed")]
mod reeved;

use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use reeve_core::notice::{Info, TABLE};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What the texts of the pages are kept in.
const TEXTS: &str = "packaging/man";
/// The interfaces as the code describes itself; a test of the bus keeps them true.
const INTERFACES: &str = "packaging/dbus/interfaces";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=REEVE_ASSETS_DIR");
    for path in ["daemon/build.rs", "daemon/build", "daemon/ctl/args", "daemon/app/args.rs", TEXTS, "packaging/dbus"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let out = match env::var_os("REEVE_ASSETS_DIR").or_else(|| env::var_os("OUT_DIR")) {
        Some(dir) if env::var_os("REEVE_ASSETS_DIR").is_some() => PathBuf::from(dir),
        Some(dir) => PathBuf::from(dir).join("assets"),
        None => return Err(io::Error::other("neither REEVE_ASSETS_DIR nor OUT_DIR is set")),
    };
    // Tests read the pages from there.
    println!("cargo::rustc-env=REEVE_ASSETS={}", out.display());
    completions(&out.join("completions"))?;
    let pages = out.join("man");
    fs::create_dir_all(&pages)?;
    man::programs(&pages, Path::new(TEXTS))?;
    man::page(
        &pages,
        Path::new(TEXTS),
        "reeve.toml.5",
        &[("@NODE_KEYS@", keys::node()), ("@WORKER_KEYS@", keys::worker())],
    )?;
    man::page(&pages, Path::new(TEXTS), "reeve-metrics.7", &[("@FAMILIES@", metrics::families())])?;
    man::page(&pages, Path::new(TEXTS), "reeve-fleet.7", &[])?;
    man::page(&pages, Path::new(TEXTS), "org.reeve.Node1.5", &[("@INTERFACES@", api::render(Path::new(INTERFACES))?)])?;
    catalog(&out.join("catalog"))
}

fn completions(dir: &Path) -> io::Result<()> {
    for (shell, name) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        let dir = dir.join(name);
        fs::create_dir_all(&dir)?;
        for mut command in [reevectl::Cli::command(), reeved::Cli::command()] {
            let program = command.get_name().to_owned();
            let written = generate_to(shell, &mut command, &program, &dir)?;
            // bash-completion loads a file of the program's own name.
            if shell == Shell::Bash {
                fs::rename(written, dir.join(&program))?;
            }
        }
    }
    Ok(())
}

/// systemd's message catalogue, as `journalctl -x` shows it.
fn catalog(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let text: String = TABLE.iter().map(entry).collect();
    fs::write(dir.join("reeve.catalog"), text)
}

fn entry(info: &Info) -> String {
    let support = env::var("CARGO_PKG_REPOSITORY").unwrap_or_default();
    format!(
        "-- {}\nSubject: {}\nDefined-By: Reeve\nSupport: {support}\nDocumentation: man:reeved(8)\n\n{}\n\n",
        info.id, info.title, info.text
    )
}

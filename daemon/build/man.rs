//! Man pages: of the programs from their definitions, of the rest from texts with generated parts.

use super::roff::plain;
use super::{reevectl, reeved};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::path::Path;
use std::{env, fs, io};

/// reevectl(1), one page a verb, reeved(8). What definitions cannot say stands in `texts` as `PAGE.tail`.
pub fn programs(dir: &Path, texts: &Path) -> io::Result<()> {
    let mut ctl = reevectl::Cli::command();
    ctl.build();
    for verb in ctl.get_subcommands() {
        verbs(dir, verb)?;
    }
    write(dir, texts, &ctl, "1")?;
    let mut daemon = reeved::Cli::command();
    daemon.build();
    write(dir, texts, &daemon, "8")
}

/// A text with `@MARKS@` filled in.
pub fn page(dir: &Path, texts: &Path, name: &str, parts: &[(&str, String)]) -> io::Result<()> {
    let mut text = fs::read_to_string(texts.join(name))?.replace("@VERSION@", &version());
    for (mark, part) in parts {
        text = text.replace(&format!("{mark}\n"), part);
    }
    fs::write(dir.join(name), text)
}

/// The page of a verb, and of the verbs below it.
fn verbs(dir: &Path, verb: &Command) -> io::Result<()> {
    for below in verb.get_subcommands() {
        verbs(dir, below)?;
    }
    // What is common to all verbs is said once, in reevectl(1).
    let own = verb.clone().mut_args(|a| {
        let common = a.is_global_set() || ["help", "version"].contains(&a.get_id().as_str());
        a.hide(common)
    });
    let man = manual(own, "1");
    let mut out = body(&man, verb)?;
    out.extend(
        b".PP\nThe options common to all verbs, exit codes and environment are described in \\fBreevectl\\fR(1).\n\
          .SH \"SEE ALSO\"\n\\fBreevectl\\fR(1), \\fBreeved\\fR(8), \\fBreeve.toml\\fR(5)\n",
    );
    fs::write(dir.join(man.get_filename()), out)
}

fn write(dir: &Path, texts: &Path, command: &Command, section: &str) -> io::Result<()> {
    let man = manual(command.clone(), section);
    let name = man.get_filename();
    let mut out = body(&man, command)?;
    out.extend(fs::read(texts.join(format!("{name}.tail")))?);
    fs::write(dir.join(name), out)
}

fn manual(command: Command, section: &str) -> Man {
    Man::new(command).section(section).source(format!("Reeve {}", version())).manual("Reeve")
}

/// All sections that come from the definitions.
fn body(man: &Man, command: &Command) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    let shown = command.get_arguments().any(|a| !a.is_hide_set() && !a.is_global_set() && a.get_id() != "help");
    if shown || command.get_name() == "reevectl" {
        man.render_options_section(&mut out)?;
    }
    if command.has_subcommands() {
        out.extend(subcommands(command).into_bytes());
    }
    Ok(out)
}

/// The verbs, each with a pointer to its page.
fn subcommands(command: &Command) -> String {
    let mut out = ".SH VERBS\n".to_owned();
    for verb in command.get_subcommands().filter(|s| !s.is_hide_set()) {
        let name = verb.get_display_name().unwrap_or_else(|| verb.get_name());
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        out.push_str(&format!(".TP\n\\fB{}\\fR(1)\n{}\n", plain(name), plain(&about)));
    }
    out
}

fn version() -> String {
    env::var("CARGO_PKG_VERSION").unwrap_or_default()
}

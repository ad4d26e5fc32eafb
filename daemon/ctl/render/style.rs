//! How output looks: colour, glyphs, width, and the instant that "ago" is counted from.

use crate::ctl::args::Color;
use crate::host::localtime::{Local, local};
use reeve_core::Wall;
use std::borrow::Cow;
use std::env;
use std::io::IsTerminal;

/// Colours by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// On the way, or held.
    Warn,
    /// Needs somebody.
    Bad,
    /// A heading.
    Bold,
    /// Nothing special.
    Plain,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Tone::Good => "0;1;32",
            Tone::Warn => "0;1;33",
            Tone::Bad => "0;1;31",
            Tone::Bold => "0;1",
            Tone::Plain => "",
        }
    }

    /// The tone of a state: of a worker, replica, task run, slot, this node or one of the fleet.
    pub fn of_state(state: &str) -> Self {
        match state {
            "running" | "ready" | "success" | "alive" | "granted" | "leader" | "follower" | "observer" => Tone::Good,
            "crash-loop" | "parked" | "unplaceable" | "failed" | "isolated" | "lost" => Tone::Bad,
            "stopped" | "done" | "drained" => Tone::Plain,
            _ => Tone::Warn,
        }
    }
}

/// How output looks.
#[derive(Debug, Clone)]
pub struct Style {
    /// Escape sequences are welcome.
    pub color: bool,
    /// Characters beyond ASCII are welcome.
    pub utf8: bool,
    /// Columns to keep to; `None`: as wide as it gets.
    pub width: Option<usize>,
    /// The present.
    pub now: Wall,
    /// How wall time is shown.
    pub zone: fn(Wall) -> Option<Local>,
}

impl Style {
    /// The style that standard output asks for.
    pub fn detect(color: Color, now: Wall) -> Self {
        let tty = std::io::stdout().is_terminal();
        let set = |name: &str| env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = env::var_os("TERM").is_none_or(|t| t == "dumb");
        Self {
            color: match color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => tty && !dumb && !set("NO_COLOR"),
            },
            utf8: utf8_locale(|name| env::var(name).ok()),
            width: columns(tty),
            now,
            zone: local,
        }
    }

    /// As wide as it gets.
    pub fn unbounded(&self) -> Self {
        Self { width: None, ..self.clone() }
    }

    /// `text` in a tone.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if self.color && tone != Tone::Plain && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", tone.code())
        } else {
            text.to_owned()
        }
    }

    /// The sign in front of a thing in this state.
    pub fn glyph(&self, state: &str) -> &'static str {
        match (Tone::of_state(state), self.utf8) {
            (Tone::Bad, true) => "×",
            (Tone::Bad, false) => "x",
            (Tone::Plain, true) => "○",
            (Tone::Plain, false) => "o",
            (_, true) => "●",
            (_, false) => "*",
        }
    }

    /// The sign, painted.
    pub fn mark(&self, state: &str) -> String {
        self.paint(Tone::of_state(state), self.glyph(state))
    }

    /// What stands for text that was cut off.
    pub fn ellipsis(&self) -> &'static str {
        if self.utf8 { "…" } else { "..." }
    }

    /// Cuts a line to the width.
    pub fn fit(&self, text: &str) -> String {
        match self.width {
            Some(width) => self.cut(text, width),
            None => text.to_owned(),
        }
    }

    /// Cuts `text` to so many columns, marking that it was cut.
    pub fn cut(&self, text: &str, width: usize) -> String {
        if text.chars().count() <= width {
            return text.to_owned();
        }
        let mark = self.ellipsis();
        let keep = width.saturating_sub(mark.chars().count());
        let kept: String = text.chars().take(keep).collect();
        kept.trim_end().to_owned() + mark
    }
}

/// What workers and callers have written, made safe to show: a terminal obeys control characters.
pub fn tame(text: &str) -> Cow<'_, str> {
    let wild = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(wild) {
        Cow::Owned(text.chars().map(|c| if wild(c) { '\u{fffd}' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// `LC_ALL`, `LC_CTYPE`, `LANG`: the first that is set decides.
fn utf8_locale(var: impl Fn(&str) -> Option<String>) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(var).find(|v| !v.is_empty()).is_some_and(|v| {
        let v = v.to_ascii_lowercase();
        v.contains("utf-8") || v.contains("utf8")
    })
}

/// The terminal's columns; without one, what `COLUMNS` says; else unlimited, since a program may be reading.
fn columns(tty: bool) -> Option<usize> {
    let said = env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let seen = || tty.then(|| crate::host::console::size().map_or(80, |(columns, _)| usize::from(columns)));
    said.filter(|c| *c > 0).or_else(seen).map(|c: usize| c.max(20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let with = |pairs: &'static [(&str, &str)]| {
            utf8_locale(|n| pairs.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned()))
        };
        assert!(with(&[("LANG", "en_US.UTF-8")]));
        assert!(with(&[("LC_ALL", ""), ("LANG", "C.utf8")]));
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
        assert!(!with(&[]));
    }

    #[test]
    fn cutting_leaves_a_mark() {
        let style = crate::ctl::fixtures::style();
        assert_eq!(style.cut("überlang", 8), "überlang");
        assert_eq!(style.cut("überlanges Wort", 8), "überlan…");
        let ascii = Style { utf8: false, ..style };
        assert_eq!(ascii.cut("a long word", 7), "a lo...");
    }
    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(tame("a\tb\nc"), "a\tb\nc");
        assert_eq!(tame("red \x1b[31m\r\u{9b}"), "red \u{fffd}[31m\u{fffd}\u{fffd}");
    }
}

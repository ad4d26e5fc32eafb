//! The line that shows how a change goes on.

use crate::bus::proxy::TaskRun;
use crate::ctl::context::Ctl;
use crate::ctl::render::units;
use std::time::Duration;
use tokio::time::Instant;

/// One line on standard error that is overwritten as the work goes on.
pub(super) struct Progress<'a> {
    ctl: &'a Ctl,
    label: String,
    begun: Instant,
    shown: bool,
}

impl<'a> Progress<'a> {
    pub fn new(ctl: &'a Ctl, word: &str, target: &str) -> Self {
        Self { ctl, label: format!("{word} {target}"), begun: Instant::now(), shown: false }
    }

    pub fn show(&mut self, run: &TaskRun) {
        if self.ctl.global.quiet || self.ctl.global.json || !self.ctl.output.shows_progress() {
            return;
        }
        let line = progress_line(&self.label, run, self.begun.elapsed());
        let line = self.ctl.style.fit(&line);
        self.ctl.output.err(&format!("\r\x1b[K{line}"));
        self.shown = true;
    }

    pub fn clear(&mut self) {
        if self.shown {
            self.ctl.output.err("\r\x1b[K");
            self.shown = false;
        }
    }
}

/// `stop web: 2 of 3 stopped, 66 % (4s)`.
fn progress_line(label: &str, run: &TaskRun, elapsed: Duration) -> String {
    let doing = run.phase.as_deref().or(run.message.as_deref()).unwrap_or(&run.state);
    let share = run.progress.map(|p| format!(", {:.0} %", p.clamp(0.0, 1.0) * 100.0)).unwrap_or_default();
    let elapsed = units::span(Duration::from_secs(elapsed.as_secs()));
    format!("{label}: {doing}{share} ({elapsed})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_line_says_what_is_going_on() {
        let run = TaskRun {
            state: "running".to_owned(),
            phase: Some("2 of 3 stopped".to_owned()),
            progress: Some(0.66),
            ..TaskRun::default()
        };
        assert_eq!(
            progress_line("stop web", &run, Duration::from_millis(4_900)),
            "stop web: 2 of 3 stopped, 66 % (4s)"
        );
    }
}

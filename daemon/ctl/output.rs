//! Where output goes: standard output and error, or a buffer in tests.

use super::render::pager;
use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;

/// Text that was written, when it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Where output goes.
#[derive(Debug, Clone, Default)]
pub struct Output {
    kept: Option<Rc<RefCell<Written>>>,
}

impl Output {
    /// To the standard streams.
    pub fn stdio() -> Self {
        Self::default()
    }

    /// Into memory; the second part reads it.
    #[cfg(test)]
    pub fn kept() -> (Self, Rc<RefCell<Written>>) {
        let kept = Rc::new(RefCell::new(Written::default()));
        let output = Self { kept: Some(kept.clone()) };
        (output, kept)
    }

    /// A person sees what is written to standard output.
    pub fn is_terminal(&self) -> bool {
        self.kept.is_none() && io::stdout().is_terminal()
    }

    /// A person sees standard error and can answer.
    pub fn is_dialogue(&self) -> bool {
        self.kept.is_none() && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// A person sees what is written to standard error.
    pub fn shows_progress(&self) -> bool {
        self.kept.is_none() && io::stderr().is_terminal()
    }

    /// Writes at once.
    pub fn write(&self, text: &str) -> io::Result<()> {
        if let Some(kept) = &self.kept {
            kept.borrow_mut().out.push_str(text);
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Writes through the pager when a person reads and it is long.
    pub fn page(&self, text: &str, pager_allowed: bool) -> io::Result<()> {
        if self.kept.is_some() {
            return self.write(text);
        }
        pager::page(text, pager_allowed && self.is_terminal())
    }

    /// Writes to standard error. Nobody there is no failure.
    pub fn err(&self, text: &str) {
        if let Some(kept) = &self.kept {
            kept.borrow_mut().err.push_str(text);
            return;
        }
        let mut err = io::stderr().lock();
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }
}

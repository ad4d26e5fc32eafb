//! What has happened, for `reevectl fleet why`.

use super::slot::SlotId;
use super::status::Happened;
use crate::time::Wall;
use std::collections::VecDeque;
use std::sync::Arc;

/// So much is kept.
const KEPT: usize = 200;

/// The newest of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    ring: VecDeque<Happened>,
    view: Arc<Vec<Happened>>,
    stale: bool,
    count: u64,
}

impl Past {
    /// Something has happened. The same again straight after it only moves the time.
    pub(super) fn note(&mut self, at: Wall, kind: &'static str, subject: String, cause: &'static str, text: String) {
        let happened = Happened { at, kind, subject, cause, text };
        self.stale = true;
        self.count += 1;
        if let Some(last) = self.ring.back_mut()
            && (last.kind, last.cause) == (kind, cause)
            && last.subject == happened.subject
            && last.text == happened.text
        {
            last.at = at;
            return;
        }
        if self.ring.len() >= KEPT {
            self.ring.pop_front();
        }
        self.ring.push_back(happened);
    }

    /// How much has happened.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The newest about a slot.
    pub(super) fn newest(&self, id: &SlotId) -> Option<&Happened> {
        let id = id.to_string();
        self.ring.iter().rev().find(|happened| happened.subject == id)
    }

    /// Oldest first.
    pub(super) fn view(&mut self) -> Arc<Vec<Happened>> {
        if std::mem::take(&mut self.stale) {
            self.view = Arc::new(self.ring.iter().cloned().collect());
        }
        Arc::clone(&self.view)
    }
}

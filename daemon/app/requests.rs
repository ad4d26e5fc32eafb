//! Answering the bus. An answer that nobody waits for any more is dropped.

use super::handle::{Caller, Difference, Request};
use super::run::App;
use crate::host::clock::Clock;
use crate::host::config_files;
use reeve_core::config::{self, Diagnostic};
use reeve_core::status::PlannedAction;
use reeve_core::{Command, CommandId, CommandRequest, Event};
use std::sync::Arc;

impl App {
    pub(super) fn request(&mut self, request: Request) {
        match request {
            Request::Command(command, caller, back) => {
                self.next_command += 1;
                let id = CommandId(self.next_command);
                self.replies.insert(id, back);
                self.turn(Event::Command(Box::new(with_caller(id, command, caller))));
            }
            Request::Reload(_, back) => drop(back.send(self.reload())),
            Request::Plan(candidate, back) => drop(back.send(self.plan(candidate))),
            Request::Runs(replica, back) => drop(back.send(self.store.runs(&replica))),
            Request::Logs(request, back) => {
                let runs = self.runs_for(&request);
                self.logs.open(request, runs, back);
            }
            Request::CheckConfig(back) => drop(back.send(self.read_config().diagnostics)),
            Request::ShowConfig(back) => drop(back.send(config::show(&self.merged))),
            Request::DiffConfig(back) => drop(back.send(self.diff())),
            Request::ExplainConfig(key, back) => drop(back.send(config::explain(&key, Some(&self.merged)))),
            Request::Events(since, max, back) => {
                let newer = self.recent.iter().filter(|e| e.at >= since);
                let skip = newer.clone().count().saturating_sub(max as usize);
                drop(back.send(newer.skip(skip).cloned().collect()));
            }
            Request::Alive(back) => drop(back.send(())),
            Request::SetLogLevel(level, back) => drop(back.send(self.level.set(&level))),
        }
    }

    fn read_config(&self) -> config::Loaded {
        config_files::load(&self.paths, self.config_file.as_deref())
    }

    fn plan(&self, candidate: bool) -> Result<Vec<PlannedAction>, Vec<Diagnostic>> {
        let now = Clock::now();
        if !candidate {
            return Ok(self.core.plan(None, now));
        }
        let loaded = self.read_config();
        match loaded.config {
            Some(config) => Ok(self.core.plan(Some(Arc::new(config)), now)),
            None => Err(loaded.diagnostics),
        }
    }

    fn diff(&self) -> Result<Vec<Difference>, Vec<Diagnostic>> {
        let loaded = self.read_config();
        match loaded.config {
            Some(_) => Ok(config::diff(&self.merged, &loaded.merged)),
            None => Err(loaded.diagnostics),
        }
    }
}

fn with_caller(id: CommandId, command: Command, caller: Caller) -> CommandRequest {
    CommandRequest {
        id,
        command,
        by: caller.by,
        uid: caller.uid,
        via: caller.via,
        reason: caller.reason,
        request_id: caller.request_id,
        dry_run: caller.dry_run,
    }
}

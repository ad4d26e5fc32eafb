//! The thread that owns NVML: gets hold of it, lets go of it, and tries again later and later while it cannot be had.

use super::card::Known;
use super::session::{self, End};
use super::shared::{Lane, Shared};
use super::{Answer, Command, Options};
use crate::host::lock::lock;
use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use reeve_core::gpu::Hold;
use reeve_core::metrics::Samples;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The longest wait before another try, as a multiple of the first.
const LONGEST: u32 = 12;

pub(super) struct Keeper {
    options: Options,
    shared: Arc<Shared>,
    inbox: Receiver<Command>,
    known: BTreeMap<String, Known>,
}

impl Keeper {
    pub(super) fn new(options: Options, shared: Arc<Shared>, inbox: Receiver<Command>) -> Self {
        Self { options, shared, inbox, known: BTreeMap::new() }
    }

    /// Until the daemon ends.
    pub(super) fn run(mut self) {
        let mut wait = self.options.periods.retry;
        let mut asked: Option<Answer> = None;
        if self.options.released {
            self.withdraw(Hold::Released);
            match self.released() {
                Some(answer) => asked = Some(answer),
                None => return,
            }
        }
        loop {
            let why = match self.begin() {
                Ok(nvml) => {
                    wait = self.options.periods.retry;
                    if let Some(answer) = asked.take() {
                        answer(Ok(()));
                    }
                    let end = session::run(&nvml, &self.options, &self.shared, &self.inbox, &mut self.known);
                    // Everything that borrowed from it is gone with the session.
                    let closed = nvml.shutdown();
                    match end {
                        End::Over => return,
                        End::Again => {
                            // Not in a circle, should a card come and go.
                            std::thread::sleep(self.options.periods.retry.min(Duration::from_secs(1)));
                            continue;
                        }
                        End::Released(answer) => {
                            self.withdraw(Hold::Released);
                            answer(closed.map_err(|e| format!("NVML does not let go: {e}")));
                            match self.released() {
                                Some(answer) => asked = Some(answer),
                                None => return,
                            }
                            continue;
                        }
                        End::Gone(why) => why,
                    }
                }
                Err(why) => why,
            };
            if let Some(answer) = asked.take() {
                answer(Err(why.clone()));
            }
            self.withdraw(Hold::Unavailable(why));
            match self.pause(wait) {
                Pause::Over => return,
                Pause::Again(answer) => asked = answer,
                Pause::Released => match self.released() {
                    Some(answer) => asked = Some(answer),
                    None => return,
                },
            }
            wait = (wait * 2).min(self.options.periods.retry * LONGEST);
        }
    }

    fn begin(&self) -> Result<Nvml, String> {
        let began = super::calls::time(&self.shared, super::card::THREAD, "nvmlInit_v2", || match &self.options.nvml {
            Some(path) => Nvml::builder().lib_path(path.as_os_str()).init(),
            None => Nvml::init(),
        });
        match began {
            Ok(Ok(nvml)) => Ok(nvml),
            Ok(Err(error)) => Err(reason(&error)),
            Err(super::calls::Fault::Gone(why) | super::calls::Fault::Lost(why)) => Err(why),
        }
    }

    /// Waits for the next try. Looks that are asked for meanwhile find nothing, and are answered with that.
    fn pause(&self, span: Duration) -> Pause {
        let until = Instant::now() + span;
        loop {
            match self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Command::Look) => self.shared.inventory_under(self.shared.hold()),
                Ok(Command::Acquire(answer)) => return Pause::Again(Some(answer)),
                Ok(Command::Release(answer)) => {
                    self.withdraw(Hold::Released);
                    answer(Ok(()));
                    return Pause::Released;
                }
                Ok(Command::End) | Err(RecvTimeoutError::Disconnected) => return Pause::Over,
                Err(RecvTimeoutError::Timeout) => return Pause::Again(None),
            }
        }
    }

    /// Until somebody wants it back; `None`: the daemon ends.
    fn released(&self) -> Option<Answer> {
        loop {
            match self.inbox.recv() {
                Ok(Command::Look) => self.shared.inventory_under(Hold::Released),
                Ok(Command::Acquire(answer)) => return Some(answer),
                Ok(Command::Release(answer)) => answer(Ok(())),
                Ok(Command::End) | Err(_) => return None,
            }
        }
    }

    /// No series of a card is served from here on.
    fn withdraw(&self, hold: Hold) {
        let at = crate::host::clock::Clock::now().mono;
        for lane in Lane::ALL {
            let outcome = match &hold {
                Hold::Unavailable(why) => Err(why.clone()),
                _ => Ok(Samples::new()),
            };
            self.shared.tell(lane.source(), at, Duration::ZERO, outcome);
        }
        lock(&self.shared.calls).forget_open();
        self.shared.set_hold(hold.clone());
        self.shared.inventory_under(hold);
    }
}

enum Pause {
    Over,
    Again(Option<Answer>),
    Released,
}

/// Why NVML cannot be had, for people.
fn reason(error: &NvmlError) -> String {
    match error {
        NvmlError::LibloadingError(_) => "no NVIDIA library on this host (libnvidia-ml.so.1)".to_owned(),
        NvmlError::NoPermission => "NVML may not be used: access to the device files is refused".to_owned(),
        other => format!("NVML cannot be initialised: {other}"),
    }
}

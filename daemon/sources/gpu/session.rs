//! One hold on NVML, from its beginning to its end: opens the cards and looks at them in lanes.

use super::calls::{Fault, time};
use super::card::{Known, Open, THREAD, Versions};
use super::join::Places;
use super::kernel::Kernel;
use super::shared::{Lane, Shared};
use super::{Answer, Command, Options, fast, gpm, process, slow, ways, xid};
use crate::host::clock::Clock;
use crate::host::lock::lock;
use crate::host::threads;
use nvml_wrapper::{Nvml, cuda_driver_version_major, cuda_driver_version_minor};
use reeve_core::gpu::{Hold, Inventory};
use reeve_core::metrics::Samples;
use reeve_core::metrics::families as f;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Why a hold has ended.
pub(super) enum End {
    /// On request.
    Released(Answer),
    /// The daemon ends.
    Over,
    /// NVML is gone.
    Gone(String),
    /// A card was lost or has come: NVML knows that only when it begins anew.
    Again,
}

/// Before NVML is begun anew for a card that is lost.
const ANEW: Duration = Duration::from_secs(300);

struct Session<'n> {
    nvml: &'n Nvml,
    options: &'n Options,
    shared: &'n Shared,
    cards: Vec<Open<'n>>,
    /// Cards that were there in an earlier hold and are not now.
    missing: Vec<Known>,
    count: u32,
    began: Instant,
    due: [Instant; 3],
}

/// Looks at the cards until the hold is over. `known` is what earlier holds have seen, and grows.
pub(super) fn run(
    nvml: &Nvml,
    options: &Options,
    shared: &Arc<Shared>,
    inbox: &Receiver<Command>,
    known: &mut BTreeMap<String, Known>,
) -> End {
    let now = Instant::now();
    let mut session =
        Session { nvml, options, shared, cards: Vec::new(), missing: Vec::new(), count: 0, began: now, due: [now; 3] };
    if let Err(Fault::Gone(why) | Fault::Lost(why)) = session.open(known) {
        return End::Gone(why);
    }
    lock(&shared.xids).begin(Clock::wall());
    shared.begin();
    shared.set_hold(Hold::Held);
    let watched: Vec<_> = session.cards.iter().map(|c| (c.known.index, c.known.uuid.clone())).collect();
    let over = AtomicBool::new(false);
    let places = session.cards.iter().map(|c| (c.known.index, c.known.uuid.clone(), c.known.bus_id.clone())).collect();
    let _kernel = Kernel::follow(&options.journal, places, shared);
    std::thread::scope(|scope| {
        let events = threads::named("gpu-xid").spawn_scoped(scope, || xid::run(nvml, &watched, shared, &over));
        if let Err(error) = events {
            tracing::warn!(%error, "GPU events cannot be waited for");
        }
        let end = session.lanes(inbox);
        over.store(true, Ordering::SeqCst);
        end
    })
}

impl Session<'_> {
    fn open(&mut self, known: &mut BTreeMap<String, Known>) -> Result<(), Fault> {
        let (nvml, shared) = (self.nvml, self.shared);
        let driver = time(shared, THREAD, "nvmlSystemGetDriverVersion", || nvml.sys_driver_version())?;
        let cuda = time(shared, THREAD, "nvmlSystemGetCudaDriverVersion_v2", || nvml.sys_cuda_driver_version())?;
        let cuda = cuda.map(|v| format!("{}.{}", cuda_driver_version_major(v), cuda_driver_version_minor(v)));
        let versions = Versions { driver: driver.unwrap_or_default(), cuda: cuda.unwrap_or_default() };
        let count = time(shared, THREAD, "nvmlDeviceGetCount_v2", || nvml.device_count())?;
        self.count = count.unwrap_or(0);
        for index in 0..self.count {
            match Open::new(nvml, index, &versions, &self.options.root, shared) {
                Ok(Ok(card)) => self.cards.push(card),
                Err(Fault::Gone(why)) => return Err(Fault::Gone(why)),
                // One that cannot be opened leaves the others alone.
                Ok(Err(error)) => tracing::warn!(gpu = index, %error, "a card cannot be opened"),
                Err(Fault::Lost(why)) => tracing::warn!(gpu = index, "a card cannot be opened: {why}"),
            }
        }
        match ways::look(nvml, &mut self.cards) {
            Err(Fault::Gone(why)) => return Err(Fault::Gone(why)),
            Err(Fault::Lost(why)) => tracing::warn!("how cards reach each other is not known: {why}"),
            Ok(()) => {}
        }
        for card in &self.cards {
            known.insert(card.known.uuid.clone(), card.known.clone());
        }
        let here = |uuid: &String| self.cards.iter().any(|c| c.known.uuid == *uuid);
        self.missing = known.iter().filter(|(uuid, _)| !here(uuid)).map(|(_, k)| k.clone()).collect();
        Ok(())
    }

    fn lanes(&mut self, inbox: &Receiver<Command>) -> End {
        // Slices and health first: nothing is given away before they are known.
        let mut order = [Lane::Slow, Lane::Fast, Lane::Process];
        loop {
            for lane in order {
                if Instant::now() < self.due[lane as usize] {
                    continue;
                }
                match self.look(lane) {
                    Ok(false) => {}
                    Ok(true) => return End::Again,
                    Err(why) => return End::Gone(why),
                }
                // What was asked meanwhile does not wait for the other lanes.
                if self.shared.take_interrupt() {
                    break;
                }
            }
            order = Lane::ALL;
            let next = self.due.iter().min().copied().unwrap_or_else(Instant::now);
            match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Command::Look) => self.due[Lane::Process as usize] = Instant::now(),
                Ok(Command::Release(answer)) => return End::Released(answer),
                Ok(Command::Acquire(answer)) => answer(Ok(())),
                Ok(Command::End) | Err(RecvTimeoutError::Disconnected) => return End::Over,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// One look of a lane at all cards. `true`: NVML should be begun anew.
    fn look(&mut self, lane: Lane) -> Result<bool, String> {
        let (began, at) = (Instant::now(), Clock::now().mono);
        let mut samples = Samples::new();
        let mut again = false;
        if lane == Lane::Slow {
            // A card that has come or gone.
            let count = time(self.shared, THREAD, "nvmlDeviceGetCount_v2", || self.nvml.device_count());
            match count {
                Ok(Ok(count)) => again = count != self.count,
                Err(Fault::Gone(why)) => return self.gone(lane, began, at, why),
                _ => {}
            }
            let lost = !self.missing.is_empty() || self.cards.iter().any(|c| c.facts.lost.is_some());
            again |= lost && self.began.elapsed() > ANEW;
        }
        let places = if lane == Lane::Process { self.shared.places() } else { Places::default() };
        for card in &mut self.cards {
            if card.facts.lost.is_some() {
                continue;
            }
            let looked = match lane {
                Lane::Fast => fast::look(card, &mut samples).and_then(|()| match self.options.gpm {
                    true => gpm::look(card, self.nvml, &mut samples),
                    false => Ok(()),
                }),
                Lane::Process => process::look(card, &places, &self.options.root, &mut samples),
                Lane::Slow => slow::look(card, self.nvml, self.options, &mut samples),
            };
            match looked {
                Ok(()) => {}
                Err(Fault::Lost(why)) => {
                    // Nor does what it said before it was lost stand.
                    samples.retain(|labels| !labels.as_str().contains(&*card.known.uuid));
                    card.lose(why);
                }
                Err(Fault::Gone(why)) => return self.gone(lane, began, at, why),
            }
        }
        self.say(lane, &mut samples);
        let period = self.shared.stamp(lane, began, true);
        self.due[lane as usize] = Instant::now() + period;
        self.shared.tell(lane.source(), at, began.elapsed(), Ok(samples));
        // The first look of the slow lane knows figures of no card yet.
        if lane == Lane::Process || (lane == Lane::Fast && self.cards.iter().any(|c| c.facts.lost.is_some())) {
            self.tell_inventory(at);
        }
        self.shared.wake();
        Ok(again)
    }

    fn gone(&self, lane: Lane, began: Instant, at: reeve_core::Mono, why: String) -> Result<bool, String> {
        self.shared.stamp(lane, began, false);
        self.shared.tell(lane.source(), at, began.elapsed(), Err(why.clone()));
        Err(why)
    }

    /// What is said of cards that do not answer, too.
    fn say(&self, lane: Lane, samples: &mut Samples) {
        let lost = |c: &Open<'_>| c.facts.lost.is_some();
        match lane {
            Lane::Fast => {
                for card in &self.cards {
                    samples.put_with(&f::GPU_INFO, &card.known.info, 1.0);
                    samples.put_with(&f::GPU_CARD_UP, &card.known.labels, f64::from(u8::from(!lost(card))));
                }
                self.missing.iter().for_each(|known| samples.put_with(&f::GPU_CARD_UP, &known.labels, 0.0));
            }
            Lane::Slow => {
                for card in self.cards.iter().filter(|c| lost(c)) {
                    let labels = card.known.labels.and(&[("check", "bus")]);
                    samples.put_with(&f::GPU_HEALTH, &labels, 0.0);
                }
            }
            Lane::Process => {}
        }
    }

    fn tell_inventory(&mut self, at: reeve_core::Mono) {
        for card in &mut self.cards {
            card.facts.fatal_xid = lock(&self.shared.xids).fatal(&card.known.uuid);
        }
        let mut cards: Vec<_> = self.cards.iter().map(Open::shown).collect();
        cards.extend(self.missing.iter().map(|known| {
            let mut card = known.shown();
            card.facts.lost = Some("it is not on the bus any more".into());
            card
        }));
        self.shared.inventory(Inventory { at, hold: Hold::Held, cards });
    }
}

//! Cards, and what dead runs leave on them.

use super::*;

/// Cards for every third world, and workers that want some.
pub(super) fn cards(rng: &mut Rng, seed: u64, config: &mut Config) -> Vec<Card> {
    if !seed.is_multiple_of(3) {
        return Vec::new();
    }
    let count = 1 + rng.below(4) as u32;
    for worker in config.workers.values_mut() {
        let worker = Arc::make_mut(worker);
        worker.resources.gpus_request = rng.below(u64::from(count.min(2)) + 1) as u32;
        worker.resources.gpus_limit = worker.resources.gpus_request + rng.below(2) as u32;
    }
    let card = |index: u32| Card {
        index,
        uuid: format!("GPU-{index}"),
        numa_node: Some(index / 2),
        memory_total: Some(80 << 30),
        memory_used: Some(1 << 20),
        ..Card::default()
    };
    (0..count).map(card).collect()
}

pub(super) fn cgroup(id: &ReplicaId) -> String {
    format!("/sys/fs/cgroup/reeve.slice/{}", id.unit())
}

/// The one process of a run.
fn process(run: RunId) -> u32 {
    u32::from_be_bytes([0, run.0[5], run.0[6], run.0[7]])
}

impl World {
    /// A look begins; its answer comes a little later.
    pub(super) fn look_at_cards(&mut self) {
        let (epoch, at) = (self.epoch, self.now);
        let span = ms(self.cards_rng.below(200));
        self.later(span, Todo::Gpus(epoch, at));
    }

    pub(super) fn inventory(&self, at: Mono) -> Inventory {
        let mut cards = self.cards.clone();
        let living =
            self.runs.iter().filter(|(_, r)| r.ended.is_none()).map(|(run, r)| (process(*run), &r.id, &r.spec.gpus));
        let left = self.stragglers.iter().map(|(id, s)| (s.pid, id, &s.gpus));
        for (pid, id, gpus) in living.chain(left) {
            for card in cards.iter_mut().filter(|c| gpus.contains(&c.uuid)) {
                card.memory_used = card.memory_used.map(|used| used + (4 << 30));
                let path = cgroup(id).trim_start_matches("/sys/fs/cgroup").to_owned();
                card.processes.push(Process { pid, memory: Some(4 << 30), gpu_instance: None, cgroup: Some(path) });
            }
        }
        Inventory { at, hold: Hold::Held, cards }
    }

    /// Some runs do not take all their processes with them.
    pub(super) fn leave_something(&mut self, run: RunId, id: &ReplicaId, spec: &RunSpec, known: bool) {
        if self.chaos && !spec.gpus.is_empty() && chance(&mut self.cards_rng, 30) {
            let stubborn = chance(&mut self.cards_rng, 50);
            let left = Straggler { pid: 500_000 + process(run), gpus: spec.gpus.clone(), known, stubborn };
            self.stragglers.insert(id.clone(), left);
        }
    }

    pub(super) fn card(&mut self, at: usize) {
        let (chaos, wall, kind) = (self.chaos, self.wall().wall, self.cards_rng.below(3));
        if let Some(card) = self.cards.get_mut(at) {
            let ill = card.facts != reeve_core::gpu::Facts::default();
            card.facts = Default::default();
            match kind {
                _ if ill || !chaos => {}
                0 => card.facts.lost = Some("it fell off the bus".into()),
                1 => card.facts.remap_failure = Some(true),
                _ => card.facts.fatal_xid = Some((79, wall)),
            }
        }
        self.look_at_cards();
        if chaos {
            let span = s(10 + self.cards_rng.below(3000));
            self.later(span, Todo::Card(at));
        }
    }
}

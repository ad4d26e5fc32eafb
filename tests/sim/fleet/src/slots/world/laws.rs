//! What must hold of a whole fleet.

use super::{END, SECOND, World};
use reeve_core::fleet::{Amount, SlotId};
use std::collections::BTreeMap;

impl World {
    /// I5, and that no more nodes use a slot than may: at every step.
    pub(super) fn laws(&mut self) -> Result<(), String> {
        let mut uses: BTreeMap<(String, String), Vec<SlotId>> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(life) = &node.life else { continue };
            let member = life.fleet.member();
            let document = &member.ballot().document;
            if member.commit() == document.ver && !document.is_founding() {
                let known = self.committed.entry(document.ver).or_insert_with(|| document.clone());
                if known != document {
                    return Err(format!("I3: two documents are called {}", document.ver));
                }
                let mut held: BTreeMap<(&str, &str), u32> = BTreeMap::new();
                for slot in document.slots.values() {
                    *held.entry((&slot.pool, &slot.group)).or_default() += 1;
                }
                for ((pool, group), held) in held {
                    let Amount::Count(most) = self.config.slots[pool].max_unavailable else { continue };
                    if held > most {
                        return Err(format!("I5: {held} of {most} {pool} {group:?} in {}", document.ver));
                    }
                }
            }
            if node.asleep.is_some() {
                continue;
            }
            let now = node.clock.at(self.now);
            for (id, held) in node.file.held.iter().filter(|(id, _)| !self.broken.contains(id)) {
                if life.fleet.holds(id, now) {
                    let pool = if held.kind == "reboot" { "reboot" } else { "default" };
                    let per = self.config.slots[pool].per.is_some();
                    let group = if per { format!("r{}", index % 2 + 1) } else { String::new() };
                    uses.entry((pool.to_owned(), group)).or_default().push(id.clone());
                }
            }
        }
        for ((pool, group), ids) in uses {
            let Amount::Count(most) = self.config.slots[&pool].max_unavailable else { continue };
            if ids.len() > most as usize {
                return Err(format!("I6: {ids:?} are used at once, {most} of {pool} {group:?} may be"));
            }
        }
        Ok(())
    }

    /// Whoever has asked for something got an answer.
    pub(super) fn at_the_end(&mut self) -> Result<(), String> {
        self.seen.suspects =
            self.committed.values().flat_map(|d| d.slots.values()).filter(|s| s.suspect.is_some()).count() as u64;
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(life) = &node.life else { return Err(format!("L3: {} is down", self.names[index])) };
            // What a person does to tidy up may be on its way.
            if let Some((command, at)) = life.waiting.values().find(|(_, at)| *at < END - 10 * SECOND) {
                let since = self.now.saturating_sub(*at) / SECOND;
                return Err(format!("L3: {} waits for {since} s: {}", self.names[index], command.what()));
            }
        }
        Ok(())
    }
}

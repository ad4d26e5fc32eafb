//! Leading: the desk, the beacon.

use super::{BEACON, Fleet};
use crate::election::NodeName;
use crate::election::{Role, Ver};
use crate::fleet::change::Change;
use crate::fleet::desk::{Desk, Office, Word};
use crate::fleet::document::VoterChange;
use crate::fleet::roster::interval;
use crate::fleet::talk::{Answer, Ask, Beacon, Talk, To};
use crate::notice::Kind;

impl Fleet {
    /// Opens and closes the desk, and does what is due at it.
    pub(super) fn lead(&mut self) {
        if self.member.role() != Role::Leader {
            self.desk = None;
            return;
        }
        if !self.member.holds_lease(self.now.mono) {
            return;
        }
        if self.desk.is_none() {
            self.desk = Some(Desk::default());
            self.roster.restart(self.now.mono);
            self.beacon_due = self.now.mono;
        }
        self.at_desk(|desk, member, office| desk.advance(member, office));
        if !self.alone && self.now.mono >= self.beacon_due {
            self.beacon_due = self.now.mono + BEACON;
            let interval = interval(self.roster.len(), self.config.report_interval);
            self.roster.set_interval(interval, self.now.mono);
            let ballot = self.member.ballot();
            let beacon = Beacon {
                term: ballot.term,
                commit: self.member.commit(),
                interval,
                voters: ballot.document.voters.keys().cloned().collect(),
                nodes: u32::try_from(self.roster.len()).unwrap_or(u32::MAX),
                frozen: ballot.document.frozen.clone(),
            };
            self.note_term(beacon.term);
            self.beacon = Some((self.me.clone(), beacon.clone(), self.now));
            self.say(To::All, Talk::Beacon(beacon));
        }
    }

    fn at_desk(&mut self, act: impl FnOnce(&mut Desk, &mut crate::election::Member, &Office<'_>) -> Vec<Word>) {
        let Some(mut desk) = self.desk.take() else { return };
        let office = Office { policies: &self.config.slots, roster: &self.roster, now: self.now, plant: self.plant };
        let words = act(&mut desk, &mut self.member, &office);
        self.desk = Some(desk);
        self.words(words);
    }

    fn words(&mut self, words: Vec<Word>) {
        for word in words {
            match word {
                Word::Effect(effect) => self.election(vec![effect]),
                Word::Done(change) => self.changed(&change),
                Word::Answer(to, nonce, said) => {
                    let answer = Answer { nonce, term: self.member.ballot().term, said };
                    if to == self.me {
                        self.hear_answer(answer);
                    } else {
                        self.say(To::Node(to), Talk::Answer(answer));
                    }
                }
            }
        }
    }

    /// Somebody asks for something. Only a leader that holds its lease answers.
    pub(super) fn hear_ask(&mut self, from: &NodeName, ask: &Ask) {
        if self.member.role() == Role::Leader && self.member.holds_lease(self.now.mono) {
            self.at_desk(|desk, member, office| {
                let mut words = desk.ask(from, ask, member, office);
                words.extend(desk.advance(member, office));
                words
            });
        }
    }

    pub(super) fn committed(&mut self, ver: Ver) {
        let document = self.member.ballot().document.clone();
        if let Some(desk) = &mut self.desk {
            let words = desk.committed(ver, &document, self.now);
            self.words(words);
        }
    }

    /// A change is in force.
    fn changed(&mut self, change: &Change) {
        let text = change.text();
        let (kind, subject) = match change {
            Change::Freeze(_) => ("slot", String::new()),
            Change::Voters(VoterChange::Add(node, _) | VoterChange::Remove(node)) => ("voters", node.to_string()),
            other => ("slot", other.slot().map(ToString::to_string).unwrap_or_default()),
        };
        self.past(kind, subject, change.cause(), text.clone());
        let notice = match change {
            Change::Grant(..) | Change::Trust(_) => Kind::FleetSlotGranted,
            Change::Release(_) => Kind::FleetSlotReleased,
            Change::Suspect(..) => Kind::FleetSlotSuspect,
            Change::Break(..) => Kind::FleetSlotBroken,
            Change::Freeze(_) => Kind::FleetFrozen,
            Change::Voters(_) => Kind::FleetVoters,
        };
        if change.slot().is_some() {
            *self.tallies.slots.entry(change.cause()).or_default() += 1;
        }
        self.notice(notice, text);
        self.beacon_due = self.now.mono;
    }
}

//! What this node wants: commands of people, the slots it holds, answers of the leader.

use super::Fleet;
use crate::config::Fleet as Config;
use crate::election::{Ballot, Member, Role, Term};
use crate::event::Standing;
use crate::fleet::command::FleetCommand;
use crate::fleet::document::{Bound, Document};
use crate::fleet::errand::HeldRecord;
use crate::fleet::plant::FleetPlant;
use crate::fleet::slot::SlotId;
use crate::fleet::talk::{Answer, Presence, Said, Talk, To, Want};
use crate::ids::OperationId;
use crate::notice::Kind;
use crate::time::Mono;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Fleet {
    pub(super) fn command(&mut self, id: OperationId, command: FleetCommand, by: &str, reason: String) {
        let said = if reason.is_empty() { by.to_owned() } else { format!("{reason}, by {by}") };
        let want = match command {
            FleetCommand::Ask { kind } => return self.ask_for_slot(id, kind, said),
            FleetCommand::Release { slot, failed } => return self.release(id, slot, failed, said),
            FleetCommand::Recover => return self.recover(id, &said),
            FleetCommand::Promote { force: true } => return self.recover(id, &said),
            FleetCommand::Promote { force: false }
                if self.member.is_voter() && self.member.role() != Role::Silent && self.counted_out_by().is_none() =>
            {
                return self.standing(Some(id), Standing::Failed("this node is a voter already".to_owned()));
            }
            FleetCommand::Promote { force: false } => Want::Join(self.bound()),
            FleetCommand::Rejoin => return self.rejoin(id, said),
            FleetCommand::Break(slot) => Want::Break(slot),
            FleetCommand::Freeze => Want::Freeze(true),
            FleetCommand::Unfreeze => Want::Freeze(false),
            FleetCommand::HandOver(to) => match self.status_leader() {
                Some(from) => Want::HandOver { from, to },
                None => {
                    let why = format!("nobody leads: {}", self.trouble());
                    return self.standing(Some(id), Standing::Failed(why));
                }
            },
            FleetCommand::Demote(node) => Want::Leave(node),
        };
        self.errands.add(Some(id), want, said, self.now.mono);
        self.waits_for_leader(id);
    }

    fn waits_for_leader(&mut self, id: OperationId) {
        if !self.quorum() {
            let text = format!("waits for a leader: {}", self.trouble());
            self.standing(Some(id), Standing::Waits(text));
        }
    }

    fn bound(&self) -> Bound {
        self.sender().bound()
    }

    /// Kept before it is asked for, so that it is given back after a crash.
    fn ask_for_slot(&mut self, op: OperationId, kind: String, reason: String) {
        self.slots_asked += 1;
        let id = SlotId { node: self.me.clone(), boot: self.sender().boot, n: self.slots_asked };
        self.file.held.insert(id.clone(), HeldRecord { kind: kind.clone(), reason: reason.clone(), fence: None });
        self.keep();
        self.past("slot", id.to_string(), "asked", format!("{id} is asked for, {kind}: {reason}"));
        let want = Want::Slot { id, kind, labels: self.labels() };
        self.errands.add(Some(op), want, reason, self.now.mono);
        self.waits_for_leader(op);
    }

    fn labels(&self) -> BTreeMap<String, String> {
        self.report.as_ref().map(|report| report.labels.clone()).unwrap_or_default()
    }

    fn release(&mut self, op: OperationId, id: SlotId, failed: bool, reason: String) {
        if id.node != self.me {
            let text = format!("{id} is a slot of {}; release it there, or `reevectl fleet break` it", id.node);
            return self.standing(Some(op), Standing::Failed(text));
        }
        // From here on nothing may be done on it: it may be another's before the answer is here.
        self.errands.until.remove(&id);
        for ask in self.errands.drop_asks_for(&id) {
            self.standing(ask.op, Standing::Failed(format!("{id} was released")));
        }
        self.errands.add(Some(op), Want::Release { id, failed }, reason, self.now.mono);
        self.waits_for_leader(op);
    }

    pub(super) fn cancel(&mut self, op: OperationId) {
        let Some(errand) = self.errands.cancel(op) else { return };
        if let Want::Slot { id, .. } = errand.want {
            // It may have been granted meanwhile.
            self.errands.add(None, Want::Release { id, failed: false }, "cancelled".to_owned(), self.now.mono);
        }
    }

    /// After a start: slots of an earlier life are asked for again; one that was never granted is given back. Nothing new
    /// begins on a grant of an earlier life (I6).
    pub(super) fn ask_again_for_slots(&mut self) {
        for (id, held) in self.file.held.clone() {
            let want = match held.fence {
                Some(_) => Want::Keep(id),
                None => Want::Release { id, failed: false },
            };
            self.errands.add(None, want, held.reason, self.now.mono);
        }
    }

    /// Sends what is due; a leader asks itself.
    pub(super) fn run_errands(&mut self) {
        let over: Vec<_> =
            self.errands.until.iter().filter(|(_, until)| **until <= self.now.mono).map(|(id, _)| id.clone()).collect();
        for id in over {
            self.errands.until.remove(&id);
            let text = format!("{id} was not released in its time: what it was for must not go on");
            self.past("slot", id.to_string(), "over", text.clone());
            self.notice(Kind::FleetSlotSuspect, text);
        }
        for ask in self.errands.due(self.now.mono) {
            if self.desk.is_some() && self.member.role() == Role::Leader {
                self.hear_ask(&self.me.clone(), &ask);
            } else if self.is_connected() {
                self.say(To::Leader, Talk::Ask(ask));
            }
        }
    }

    /// The highest term a leader was heard of in. One that is more epochs ahead than people can have recovered the fleet is
    /// an attempt to use them up.
    pub(super) fn note_term(&mut self, term: Term) {
        if term > self.file.term && term.epoch() <= self.file.term.epoch() + 1000 {
            self.file.term = term;
            self.keep();
        }
    }

    pub(super) fn hear_answer(&mut self, answer: Answer) {
        if answer.term < self.file.term {
            return self.dropped("old-term");
        }
        let Some((errand, sent)) = self.errands.asked(answer.nonce) else { return };
        let (op, want) = (errand.op, errand.want.clone());
        match answer.said {
            Said::Granted { id, fence, ttl } => {
                let sent = if self.planted(FleetPlant::GrantFromReceipt) { self.now.mono } else { sent };
                let until = sent + ttl;
                let asked = matches!(&want, Want::Slot { id: asked, .. } | Want::Keep(asked) if *asked == id);
                if asked && until <= self.now.mono {
                    // Too late for this ask: the next counts from when it is sent.
                    self.errands.anew(answer.nonce, self.now.mono);
                } else if asked {
                    self.file.term = self.file.term.max(answer.term);
                    self.errands.done(answer.nonce);
                    self.granted(op, id, fence, until);
                }
            }
            Said::Queued { position, blocked } => {
                self.errands.waits(answer.nonce, self.now.mono);
                if let Want::Slot { id, .. } = &want {
                    self.past(
                        "slot",
                        id.to_string(),
                        "queued",
                        format!("{id} waits, {position} in the queue: {blocked}"),
                    );
                    let text = format!("{id} waits, {position} in the queue: {blocked}");
                    self.standing(op, Standing::Waits(text));
                }
            }
            Said::Done(text) => {
                self.errands.done(answer.nonce);
                if let Want::Release { id, .. } = &want {
                    self.file.held.remove(id);
                    self.errands.until.remove(id);
                    self.keep();
                }
                self.standing(op, Standing::Done(text));
            }
            Said::Refused(why) => {
                self.errands.done(answer.nonce);
                if let Want::Slot { id, .. } | Want::Keep(id) | Want::Release { id, .. } = &want {
                    self.errands.until.remove(id);
                    self.past("slot", id.to_string(), "refused", format!("{id} is refused: {why}"));
                    self.file.held.remove(id);
                    self.keep();
                }
                self.standing(op, Standing::Failed(why));
            }
        }
    }

    fn granted(&mut self, op: Option<OperationId>, id: SlotId, fence: crate::election::Ver, until: Mono) {
        let held = self.file.held.entry(id.clone());
        held.or_insert_with(|| HeldRecord { kind: String::new(), reason: String::new(), fence: None }).fence =
            Some(fence);
        self.keep();
        self.errands.until.insert(id.clone(), until);
        let left = until.since(self.now.mono).as_secs();
        let text = format!("{id} is granted for {left} s, fence {fence}");
        self.past("slot", id.to_string(), "granted", text.clone());
        self.standing(op, Standing::Done(text));
    }

    /// Until when a slot may be used: granted in this life, and not over (I6).
    pub fn holds(&self, id: &SlotId, now: Mono) -> bool {
        let old = || self.file.held.get(id).is_some_and(|held| held.fence.is_some());
        let until = self.errands.until.get(id);
        until.is_some_and(|until| now < *until) || (self.planted(FleetPlant::OldLifeHolds) && until.is_none() && old())
    }

    pub(super) fn keep_failed(&mut self, why: &str) {
        let text = format!("slots are not kept over a restart: {why}");
        self.past("slot", String::new(), "not kept", text.clone());
        self.notice(Kind::FleetTrouble, text);
    }

    fn recover(&mut self, op: OperationId, said: &str) {
        if self.lost.is_some() {
            let text = "its voter file is lost: recover the fleet on a voter that has its own, then `reevectl fleet rejoin` here";
            return self.standing(Some(op), Standing::Failed(text.to_owned()));
        }
        if self.quorum() {
            let leader = self.leader.as_ref().map(ToString::to_string).unwrap_or_default();
            let text = format!("{leader} leads and is answered by a majority: there is nothing to recover");
            return self.standing(Some(op), Standing::Failed(text));
        }
        let effects = self.member.recover(self.now.mono);
        let text =
            format!("recovered with {} as the only voter, in term {}: {said}", self.me, self.member.ballot().term);
        self.past("voters", self.me.to_string(), "recovered", text.clone());
        self.notice(Kind::FleetRecovered, text.clone());
        self.election(effects);
        self.standing(Some(op), Standing::Done(text));
    }

    /// A new voter of its name: with a new file, when the old one is lost.
    fn rejoin(&mut self, op: OperationId, said: String) {
        if self.lost.take().is_some() {
            let founding = Document::founding(self.config.voters.iter().cloned());
            let ballot = Ballot::new(&self.config.name, self.me.clone(), self.seat, founding);
            let priority = self.config.priority.clone();
            let (member, effects) = Member::start(ballot, self.config.timing, priority, self.seed, self.now.mono);
            self.member = member;
            self.election(effects);
        } else if self.member.role() != Role::Silent {
            let text = "this node has its voter file: there is nothing to rejoin".to_owned();
            return self.standing(Some(op), Standing::Failed(text));
        }
        let want = Want::Join(self.bound());
        self.errands.add(Some(op), want, said, self.now.mono);
        self.waits_for_leader(op);
    }

    /// The configuration was read again: what can be changed in a running fleet is.
    pub(super) fn configured(&mut self, config: Option<Arc<Config>>) {
        let config = config.unwrap_or_else(|| Arc::new(Config::alone(&self.me)));
        let same = (&config.name, &config.voters, &config.timing)
            == (&self.config.name, &self.config.voters, &self.config.timing);
        if !same {
            let text =
                "fleet.name, fleet.voters and fleet.preset are taken over when reeved is restarted; workers run on";
            self.notice(Kind::FleetTrouble, text.to_owned());
        }
        if config.brokers != self.config.brokers {
            self.brokers = config.brokers.iter().map(|url| super::BrokerStatus::new(url)).collect();
        }
        let kept = (self.config.name.clone(), self.config.voters.clone(), self.config.timing);
        self.config = Arc::new(Config { name: kept.0, voters: kept.1, timing: kept.2, ..(*config).clone() });
    }

    /// The daemon ends: another leads before it is gone.
    pub(super) fn leave(&mut self) {
        if !std::mem::replace(&mut self.leaving, true) && !self.alone {
            self.pass_on();
            self.say(To::Registry, Talk::Presence(Presence::Leaves));
        }
    }

    /// Whether it should not be gone yet: it leads, and one of the others can take over in a moment.
    pub fn is_wanted(&self) -> bool {
        !self.alone && self.member.holds_lease(self.now.mono) && self.member.ballot().document.voters.len() > 1
    }

    /// While it leaves: as soon as another voter has all that was decided. One may have just come back, and all are sent
    /// a new version for that.
    pub(super) fn pass_on(&mut self) {
        if self.leaving
            && let Ok((heir, effects)) = self.member.hand_over(None, self.now.mono)
        {
            self.election(effects);
            self.past("leader", heir.to_string(), "handed over", format!("handed over to {heir}: reeved ends"));
        }
    }
}

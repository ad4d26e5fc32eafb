//! The picture.

use super::{BEACON_AGE, Fleet};
use crate::election::{NodeName, Role, Term};
use crate::fleet::slot::SlotId;
use crate::fleet::status::{FleetStatus, SlotStatus};
use crate::fleet::talk::{Beacon, Want};
use crate::time::{Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The registry is drawn anew at most so often: it may have ten thousand nodes.
const REGISTRY: Duration = Duration::from_secs(1);

impl Fleet {
    /// Whether there is a leader that a majority answers, as far as this node can know.
    pub(super) fn quorum(&self) -> bool {
        let now = self.now.mono;
        match self.member.role() {
            Role::Leader => self.member.holds_lease(now),
            Role::Follower => {
                let heard = self.member.heard().filter(|_| self.member.leader().is_some());
                heard.is_some_and(|at| now.since(at) < self.config.timing.election_max)
            }
            Role::PreCandidate | Role::Candidate => false,
            Role::Observer | Role::Silent => self.is_connected() && self.fresh_beacon().is_some(),
        }
    }

    /// Who says that it leads, if it has said so lately.
    fn fresh_beacon(&self) -> Option<(&NodeName, &Beacon)> {
        let (leader, beacon, heard) = self.beacon.as_ref()?;
        (self.now.mono.since(heard.mono) < BEACON_AGE).then_some((leader, beacon))
    }

    /// What is wrong, in one sentence. Empty when nothing is.
    pub(super) fn trouble(&self) -> String {
        if self.alone {
            return String::new();
        }
        if let Some(why) = self.lost.as_deref().or(self.member.silent()) {
            return format!("this node votes no more: {why}");
        }
        let away = "slots frozen, workers unaffected";
        if !self.is_connected() {
            let why = self.brokers.first().map(|broker| format!("{}: {}", broker.url, broker.reason));
            return format!("no broker is connected ({}); {away}", why.unwrap_or_default());
        }
        if let Some((leader, term)) = self.old_leader.as_ref().filter(|_| !self.quorum()) {
            let known = self.file.term;
            return format!(
                "{leader} leads in term {term}, and this node has followed one in term {known}: if the fleet was founded anew, \
                 stop reeved here, remove fleet.json from its state folder, and start it; {away}"
            );
        }
        if let Some(leader) = self.counted_out_by() {
            return format!(
                "{leader} leads, and this node is none of its voters any more: it was demoted while it was away; `reevectl \
                 fleet promote` makes it a voter again, or take it out of fleet.voters, stop reeved, and remove voter.json and \
                 voter.seat from its state folder"
            );
        }
        if !self.quorum() {
            return format!("no quorum since {}: {away}", clock(self.quorum_at.wall));
        }
        if self.silence {
            return "most nodes fell silent at once: a broker is the likely cause; nobody is declared lost".to_owned();
        }
        String::new()
    }

    /// It holds itself for a voter, and the leader, who is named, does not: it was demoted while it was away.
    pub(super) fn counted_out_by(&self) -> Option<&NodeName> {
        let (leader, beacon) = self.fresh_beacon()?;
        let out = self.member.is_voter() && !self.quorum() && !beacon.voters.contains(&self.me);
        out.then_some(leader)
    }

    /// Who leads, as far as is known.
    pub(super) fn status_leader(&self) -> Option<NodeName> {
        let beacon = || self.beacon.as_ref().filter(|_| self.quorum()).map(|(leader, ..)| leader.clone());
        self.member.leader().cloned().or_else(beacon)
    }

    fn role_word(&self) -> &'static str {
        match self.member.role() {
            Role::Leader if self.quorum() => "leader",
            Role::PreCandidate | Role::Candidate => "candidate",
            _ if !self.quorum() => "isolated",
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Observer | Role::Silent => "observer",
        }
    }

    /// Whoever leads the newest term that this node knows of, and that term. A leader whose term is over leads no more:
    /// nobody is known to lead the term that a voter has voted in since, and one that votes no more hears of leaders by
    /// their beacons alone.
    fn who_leads(&self) -> (Option<NodeName>, Term) {
        let view = self.member.view();
        let followed = view.leader;
        let newer = |beacon: &Beacon| beacon.term > view.term || (beacon.term == view.term && followed.is_none());
        // One of its own is of a reign that is over, or this node follows itself.
        match self.beacon.as_ref().filter(|(leader, beacon, _)| *leader != self.me && newer(beacon)) {
            Some((leader, beacon, _)) => (Some(leader.clone()), beacon.term),
            None => (followed, view.term),
        }
    }

    /// As everybody else sees it.
    pub fn status(&mut self, now: Now) -> FleetStatus {
        self.now = now;
        let role = self.role_word();
        if self.since.0 != role {
            self.since = (role, now.wall);
        }
        let view = self.member.view();
        let voters = self.voters();
        let names: BTreeSet<NodeName> = voters.keys().cloned().collect();
        if !self.is_voter() {
            // What it knew when it was a voter grows old, and nobody would see that.
            self.nodes = (None, Arc::default());
        } else if self.nodes.0.is_none_or(|at| now.mono >= at + REGISTRY) {
            self.nodes = (Some(now.mono), Arc::new(self.roster.view(&names)));
        }
        let (leader, term) = self.who_leads();
        let contact = match view.role {
            Role::Leader => self.quorum().then_some(now.wall),
            Role::Follower => self.member.heard().map(|at| ago(now, at)),
            _ => self.beacon.as_ref().map(|(_, _, heard)| heard.wall),
        };
        let frozen = match self.member.is_voter() {
            true => self.member.ballot().document.frozen.clone(),
            false => self.beacon.as_ref().and_then(|(_, beacon, _)| beacon.frozen.clone()),
        };
        let mut tallies = self.tallies.clone();
        // Each time it stands it becomes a candidate, and whoever is none any more has not won.
        let under_way = u64::from(self.member.role() == Role::Candidate);
        tallies.lost = tallies.stood.saturating_sub(tallies.won + under_way);
        tallies.ignored = self.member.ignored().map(|(_, _, count)| count).sum();
        FleetStatus {
            fleet: self.config.name.clone(),
            alone: self.alone,
            role,
            since: self.since.1,
            term: term.to_string(),
            term_number: term.0,
            leader,
            quorum: self.quorum(),
            lease_end: view.lease_end,
            contact,
            voters,
            ver: view.ver,
            commit: view.commit,
            brokers: self.brokers.clone(),
            links: Vec::new(),
            reason: self.trouble(),
            silence: self.silence,
            frozen,
            report_interval: self.interval(),
            nodes: Arc::clone(&self.nodes.1),
            slots: Arc::new(self.slots()),
            past: self.past.view(),
            tallies,
        }
    }

    fn voters(&self) -> BTreeMap<NodeName, Option<bool>> {
        let answered = self.member.answered(self.now.mono);
        if !answered.is_empty() {
            return answered.into_iter().map(|(name, fresh)| (name, Some(fresh))).collect();
        }
        let from_beacon = self.beacon.as_ref().filter(|_| !self.member.is_voter());
        match from_beacon {
            Some((_, beacon, _)) => beacon.voters.iter().map(|name| (name.clone(), None)).collect(),
            None => self.member.ballot().document.voters.keys().map(|name| (name.clone(), None)).collect(),
        }
    }

    /// Held, asked for and queued, as this node knows them: all of them on voters, its own on observers.
    fn slots(&self) -> Vec<SlotStatus> {
        let mut slots: BTreeMap<SlotId, SlotStatus> = BTreeMap::new();
        for (id, held) in &self.file.held {
            let until = self.errands.until.get(id);
            let (state, blocked) = match (held.fence, until) {
                (None, _) => ("asking", String::new()),
                (Some(_), Some(_)) => ("granted", String::new()),
                (Some(_), None) => ("suspect", "its time is over, or it is of an earlier start of reeved".to_owned()),
            };
            let status = SlotStatus {
                id: id.clone(),
                kind: held.kind.clone(),
                group: String::new(),
                state,
                reason: held.reason.clone(),
                since: Wall::default(),
                expires: until.map(|at| ahead(self.now, *at)),
                fence: held.fence,
                position: None,
                blocked,
            };
            slots.insert(id.clone(), status);
        }
        for errand in self.errands.list() {
            if let Want::Slot { id, .. } = &errand.want
                && let Some(status) = slots.get_mut(id)
                && let Some(happened) = self.past.newest(id)
            {
                status.blocked.clone_from(&happened.text);
                status.since = happened.at;
            }
        }
        for (id, slot) in self.member.ballot().document.slots.iter() {
            let granted = slot.suspect.is_none();
            let expires = self.desk.as_ref().and_then(|desk| desk.expires(id, slot));
            let status = SlotStatus {
                id: id.clone(),
                kind: slot.kind.clone(),
                group: slot.group.clone(),
                state: if granted { "granted" } else { "suspect" },
                reason: slot.reason.clone(),
                since: slot.since,
                // Only the leader knows when it was asked for last.
                expires: expires.map(|at| ahead(self.now, at)).or(granted.then(|| slot.since.plus(slot.ttl))),
                fence: Some(slot.fence),
                position: None,
                blocked: slot.suspect.clone().unwrap_or_default(),
            };
            slots.insert(id.clone(), status);
        }
        for (position, waiting) in self.desk.iter().flat_map(|desk| desk.queue()) {
            let status = SlotStatus {
                id: waiting.id.clone(),
                kind: waiting.kind.clone(),
                group: waiting.group.clone(),
                state: "queued",
                reason: waiting.reason.clone(),
                since: waiting.since,
                expires: None,
                fence: None,
                position: Some(position),
                blocked: waiting.blocked.clone(),
            };
            slots.insert(waiting.id.clone(), status);
        }
        slots.into_values().collect()
    }
}

fn ago(now: Now, at: Mono) -> Wall {
    let span = u64::try_from(now.mono.since(at).as_micros()).unwrap_or(u64::MAX);
    Wall(now.wall.0.saturating_sub(span))
}

fn ahead(now: Now, at: Mono) -> Wall {
    now.wall.plus(at.since(now.mono))
}

/// `02:13:04 UTC`.
fn clock(at: Wall) -> String {
    let seconds = at.0 / 1_000_000 % 86_400;
    format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::config::Fleet as Config;
    use crate::election::{Boot, Message, Seat, Sender, Term};
    use crate::fleet::machine::{Found, Input, Output, Start};
    use crate::fleet::{FleetTallies, NodeFile, Talk, To};

    /// The others would vote for it, and do not in the first `refuses` terms.
    fn run(seconds: u64, refuses: u64) -> Vec<(u64, u64, u64)> {
        let voters: Vec<_> = ["a", "b", "c"].iter().map(|name| NodeName::new(name).unwrap()).collect();
        let me = voters[0].clone();
        let config = Config { name: "lab".into(), voters, brokers: vec!["mqtt://x".into()], ..Config::alone(&me) };
        let file = NodeFile::default();
        let start = Start { node: me, config: Some(config.into()), voter: Found::Never, file, seat: Seat(1), seed: 3 };
        let at = |millis| Now { mono: Mono(Duration::from_millis(millis)), wall: Wall(0) };
        let (mut fleet, mut out) = Fleet::start(start, at(0));
        out.extend(fleet.handle(Input::Broker(0, Ok(())), at(0)));
        let (mut seq, mut seen) = (0, Vec::new());
        for now in (0..seconds * 1000).step_by(20).map(at) {
            for output in std::mem::take(&mut out) {
                let (from, message) = match output {
                    Output::Write(mark, _) => {
                        out.extend(fleet.handle(Input::Written(mark), now));
                        continue;
                    }
                    Output::Say(To::Voter(to), Talk::Election(message)) => match message {
                        Message::PreVote { nonce, .. } => {
                            (to, Message::PreVoteReply { term: Term(0), nonce, granted: true })
                        }
                        Message::Vote { term, .. } if term.0 > refuses => {
                            (to, Message::VoteReply { term, granted: true })
                        }
                        Message::Beat { term, ver, sent, .. } => (to, Message::BeatReply { term, ver, sent }),
                        _ => continue,
                    },
                    _ => continue,
                };
                seq += 1;
                let from = Sender { node: from, seat: Seat(2), boot: Boot(1) };
                let talk = Talk::Election(message);
                let heard = Input::Heard { from, seq, broker: 0, retained: false, talk };
                out.extend(fleet.handle(heard, now));
            }
            out.extend(fleet.handle(Input::Tick, now));
            let FleetTallies { stood, won, lost, .. } = fleet.status(now).tallies;
            if seen.last() != Some(&(stood, won, lost)) {
                seen.push((stood, won, lost));
            }
        }
        seen
    }

    /// MET-13: an election is lost when it is over, and what was counted stays counted.
    #[test]
    fn met_13_elections_under_way_are_neither_won_nor_lost() {
        assert_eq!(run(60, 0), [(0, 0, 0), (1, 0, 0), (1, 1, 0)]);
        let seen = run(120, 2);
        assert_eq!(seen.last(), Some(&(3, 1, 2)), "{seen:?}");
        assert!(seen.contains(&(1, 0, 0)) && seen.contains(&(1, 0, 1)), "{seen:?}");
        assert!(seen.is_sorted_by_key(|(stood, won, lost)| (*lost, *won, *stood)), "{seen:?}");
    }
}

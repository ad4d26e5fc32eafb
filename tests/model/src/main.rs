//! Every order of events of three voters, within bounds, over the real election core: what scripts/model runs.
//!
//! A message that was sent may arrive at any time, any number of times, or never; a voter may die at any time and come
//! back with its disk. So a write needs no time of its own: what stands behind it is only later, and a death in the middle
//! of it is one before its cause arrived, or one whose messages never do. Anybody may stand at any time, nobody is sticky
//! and nobody asks before it stands: laws that hold without clocks must hold without the manners that keep elections
//! rare. Hand-over, changes of the voters and lost files are left to the simulation. Voters differ by name alone: the first
//! that stands is n1, the second new one n2.
//!
//! Each write is a slot: given where the budget of one allows it, told to its holder when it is committed, and given back
//! from then on at any time. No two holders may ever know of theirs at once (I5).

#![expect(clippy::print_stderr, reason = "a program for people")]
#![expect(clippy::unwrap_used, reason = "a test that breaks should break loudly")]

use reeve_core::election::{
    Ballot, Boot, Effect, Event, Mark, Member, Message, NodeName, Plant, Role, Seat, Sender, Term, Timing, Told, Ver,
};
use reeve_core::fleet::{Bound, Document, Group, Slot, SlotId, SlotPolicy, Wanted};
use reeve_core::time::{Mono, Wall};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;

const VOTERS: usize = 3;

#[derive(Debug, Clone)]
struct Bounds {
    terms: u8,
    writes: u8,
    deaths: u8,
    /// So many voters ever stand.
    candidates: u8,
    /// A defect that must be found.
    plant: Option<Plant>,
}

const LAWS: &str = "I1, I3 and I5";
const REACHED: [&str; 2] = ["a version is committed", "a second leader commits"];

/// One voter: what is on its disk, and its process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Voter {
    disk: Ballot,
    member: Member,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    voters: Vec<Voter>,
    /// All that was ever sent.
    sent: BTreeSet<Arc<(Sender, usize, Message)>>,
    writes: u8,
    deaths: u8,
    /// Who has stood at all, as bits.
    stood: u8,
    leaders: BTreeMap<Term, usize>,
    parents: BTreeMap<Ver, Ver>,
    committed: BTreeSet<Ver>,
    /// Holders that have been told, and have not given their slot back.
    told: BTreeSet<SlotId>,
    given_back: BTreeSet<SlotId>,
    broken: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq)]
enum Action {
    Deliver(Arc<(Sender, usize, Message)>),
    Stand(usize),
    Beat(usize),
    Propose(usize),
    Die(usize),
}

fn name(voter: usize) -> NodeName {
    NodeName::new(format!("n{}", voter + 1)).unwrap()
}

/// No time goes by.
const NOW: Mono = Mono(std::time::Duration::from_secs(1000));

impl Bounds {
    fn start(&self, disk: &Ballot) -> (Member, Vec<Effect>) {
        // One life is like another here: the number of starts would only make equal states different.
        let file = Ballot { boot: Boot(0), ..disk.clone() };
        let (mut member, effects) = Member::start(file, Timing::STD, BTreeMap::new(), 0, NOW);
        member.plant(Plant::NotSticky);
        member.plant(Plant::NoPreVote);
        self.plant.into_iter().for_each(|plant| member.plant(plant));
        (member.without_time(), effects)
    }
}

impl State {
    /// A member has done something: the laws, and what may leave at once.
    fn took(&mut self, voter: usize, before: Ver, effects: Vec<Effect>) {
        let member = &self.voters[voter].member;
        let (role, ver, term) = (member.role(), member.ballot().document.ver, member.ballot().term);
        if role == Role::Leader && ver != before && ver.term == term {
            self.parents.insert(ver, before);
        }
        if role == Role::Leader && *self.leaders.entry(term).or_insert(voter) != voter {
            self.broken = Some("I1: two leaders in one term");
        }
        let sender = member.sender();
        let mut written = None;
        for effect in effects {
            match effect {
                Effect::Committed(ver) => {
                    self.commits(ver);
                    self.grants(voter);
                }
                Effect::Told(Told::Leads { term, .. }) => {
                    let last = self.committed.last().copied().unwrap_or_default();
                    if last.term < term && !self.line(ver).contains(&last) {
                        self.broken = Some("I3: a leader without all that was committed");
                    }
                }
                Effect::Told(_) => {}
                Effect::Write(mark, ballot) => {
                    self.voters[voter].disk = ballot;
                    written = Some(mark);
                }
                Effect::Send(to, message) => {
                    let to = (0..VOTERS).find(|voter| name(*voter) == to).unwrap();
                    self.sent.insert(Arc::new((sender.clone(), to, message)));
                }
            }
        }
        match written {
            Some(mark) => self.tell(voter, Event::Written(mark)),
            None => {
                let member = self.voters[voter].member.clone();
                self.voters[voter].member = member.without_time();
                self.forget_what_is_over();
            }
        }
    }

    /// Answers that can change nothing any more, whenever they arrive: of a term that is over for who would get them, or
    /// of a role it will not have again in that term.
    fn forget_what_is_over(&mut self) {
        let at: Vec<_> = self.voters.iter().map(|at| (at.member.ballot().term, at.member.role())).collect();
        self.sent.retain(|sent| {
            let (_, to, message) = &**sent;
            let (term, role) = at[*to];
            match message {
                Message::VoteReply { term: theirs, granted } => {
                    *theirs > term || (*theirs == term && *granted && role == Role::Candidate)
                }
                Message::BeatReply { term: theirs, .. } => *theirs > term || (*theirs == term && role == Role::Leader),
                _ => true,
            }
        });
    }

    fn line(&self, ver: Ver) -> Vec<Ver> {
        std::iter::successors(Some(ver), |ver| self.parents.get(ver).copied()).collect()
    }

    fn commits(&mut self, ver: Ver) {
        let last = self.committed.last().copied().unwrap_or_default();
        let (older, newer) = (ver.min(last), ver.max(last));
        if older != Ver::default() && !self.line(newer).contains(&older) {
            self.broken = Some("I3: two committed versions, neither made from the other");
        }
        self.committed.insert(ver);
    }

    /// What the leader's document grants is told, once it is committed.
    fn grants(&mut self, voter: usize) {
        let document = self.voters[voter].member.ballot().document.clone();
        let given = document.slots.keys().filter(|id| !self.given_back.contains(*id)).cloned();
        self.told.extend(given);
        if document.slots.len() > 1 || self.told.len() > 1 {
            self.broken = Some("I5: two hold a slot, and one may");
        }
    }

    /// The leader gives a slot, or takes one back that its holder has given up.
    fn next_document(&mut self, voter: usize) -> Document {
        let mut document = self.voters[voter].member.ballot().document.clone();
        let id = SlotId { node: name(voter), boot: Boot(0), n: u32::from(self.writes) };
        let wanted = Wanted { id: &id, pool: "default", group: "" };
        let group = Group { nodes: VOTERS, lost: Vec::new() };
        let slots = Arc::make_mut(&mut document.slots);
        if let Some(held) = slots.keys().next().cloned() {
            slots.remove(&held);
            self.told.remove(&held);
            self.given_back.insert(held);
        } else if SlotPolicy::default().judge(&document, &wanted, &group, Wall(0)).is_ok() {
            let slot = Slot {
                kind: "reboot".to_owned(),
                pool: "default".to_owned(),
                group: String::new(),
                reason: String::new(),
                fence: self.voters[voter].member.next_ver(),
                since: Wall(0),
                ttl: std::time::Duration::from_secs(60),
                suspect: None,
            };
            Arc::make_mut(&mut document.slots).insert(id, slot);
        }
        document
    }

    fn tell(&mut self, voter: usize, event: Event) {
        let before = self.voters[voter].member.ballot().document.ver;
        let effects = self.voters[voter].member.handle(event, NOW);
        self.took(voter, before, effects);
    }
}

impl Model for Bounds {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let bound = |voter: usize| (name(voter), Bound { seat: Seat(1), boot: Boot(1) });
        let founded = Document::founding((0..VOTERS).map(name)).with_bound((0..VOTERS).map(bound));
        let founded = Document { ver: Ver { term: Term(0), n: 1 }, ..founded };
        let voters = (0..VOTERS).map(|voter| {
            let disk = Ballot::new("lab", name(voter), Seat(1), founded.clone());
            // The first write, of its start, is done.
            let (mut member, _) = self.start(&disk);
            member.handle(Event::Written(Mark(1)), NOW);
            Voter { disk: member.ballot().clone(), member: member.without_time() }
        });
        vec![State {
            voters: voters.collect(),
            sent: BTreeSet::new(),
            writes: 0,
            deaths: 0,
            stood: 0,
            leaders: BTreeMap::new(),
            parents: BTreeMap::new(),
            // What the fleet was founded with.
            committed: BTreeSet::from([founded.ver]),
            told: BTreeSet::new(),
            given_back: BTreeSet::new(),
            broken: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(state.sent.iter().cloned().map(Action::Deliver));
        for (voter, at) in state.voters.iter().enumerate() {
            let role = at.member.role();
            let waits = matches!(role, Role::Follower | Role::Candidate);
            if waits
                && at.member.ballot().term.0 < u64::from(self.terms)
                && voter < usize::from(self.candidates)
                && (state.stood >> voter & 1 == 1 || state.stood + 1 == 1 << voter)
            {
                actions.push(Action::Stand(voter));
            }
            if role == Role::Leader {
                // Others have their beats from when the version was written.
                if at.member.view().commit == at.member.ballot().document.ver {
                    actions.push(Action::Beat(voter));
                }
                if state.writes < self.writes {
                    actions.push(Action::Propose(voter));
                }
            }
            if state.deaths < self.deaths {
                actions.push(Action::Die(voter));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Deliver(message) => {
                let (sender, to, message) = Arc::unwrap_or_clone(message);
                state.tell(to, Event::Received(sender, message));
            }
            Action::Stand(voter) => {
                state.stood |= 1 << voter;
                state.tell(voter, Event::Tick);
            }
            Action::Beat(voter) => state.tell(voter, Event::Tick),
            Action::Propose(voter) => {
                let before = state.voters[voter].member.ballot().document.ver;
                let document = state.next_document(voter);
                let (_, effects) = state.voters[voter].member.propose(document, NOW).ok()?;
                state.writes += 1;
                state.took(voter, before, effects);
            }
            Action::Die(voter) => {
                state.deaths += 1;
                let (mut member, _) = self.start(&state.voters[voter].disk);
                member.handle(Event::Written(Mark(1)), NOW);
                state.voters[voter].member = member.without_time();
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(LAWS, |_, state: &State| state.broken.is_none()),
            Property::sometimes(REACHED[0], |_, state: &State| state.committed.len() > 1),
            Property::sometimes(REACHED[1], |_, state: &State| {
                state.committed.iter().map(|ver| ver.term).collect::<BTreeSet<_>>().len() > 2
            }),
        ]
    }
}

const USAGE: &str = "usage: scripts/model [TERMS WRITES DEATHS [CANDIDATES]]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Result<Vec<u8>, _> = words.iter().map(|word| word.parse()).collect();
    let (terms, writes, deaths, candidates) = match numbers.as_deref() {
        Ok([]) => (2, 1, 1, 3),
        Ok([terms, writes, deaths]) => (*terms, *writes, *deaths, 3),
        Ok([terms, writes, deaths, candidates]) => (*terms, *writes, *deaths, *candidates),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let bounds = Bounds { terms, writes, deaths, candidates, plant: None };
    println!("{terms} terms, {writes} writes, {deaths} deaths; {candidates} of three voters ever stand");
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let began = std::time::Instant::now();
    let checker = bounds.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found = checker.discoveries();
    if let Some(path) = found.get(LAWS) {
        path.clone().into_actions().iter().for_each(|action| println!("{action:?}"));
        println!("broken: {}", path.last_state().broken.unwrap_or_default());
        return ExitCode::from(1);
    }
    // Bounds within which nothing happens prove nothing.
    let needed = if terms > 1 { &REACHED[..] } else { &REACHED[..1] };
    if let Some(what) = needed.iter().find(|what| !found.contains_key(**what)) {
        println!("never reached: {what}");
        return ExitCode::from(1);
    }
    println!(
        "{} states, all of them good ({} ways, at most {} events, {} s)",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        began.elapsed().as_secs()
    );
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(terms: u8, deaths: u8, plant: Option<Plant>) -> Option<&'static str> {
        let bounds = Bounds { terms, writes: 0, deaths, candidates: 2, plant };
        let checker = bounds.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        checker.discoveries().get(LAWS).and_then(|path| path.last_state().broken)
    }

    #[test]
    fn rec_02_every_order_of_events_of_two_candidates_in_one_term() {
        assert_eq!(broken(1, 1, None), None);
    }

    #[test]
    fn defects_are_found() {
        assert_eq!(broken(2, 0, Some(Plant::NoFreshness)), Some("I3: a leader without all that was committed"));
        assert_eq!(broken(1, 1, Some(Plant::VoteNotWritten)), Some("I1: two leaders in one term"));
    }
}

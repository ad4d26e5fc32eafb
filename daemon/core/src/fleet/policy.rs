//! How many nodes may be out of service at once, and when: `[fleet.slots.KIND]` (MNT-09).

use super::document::Document;
use super::slot::SlotId;
use crate::election::NodeName;
use crate::time::Wall;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A count, or a share of the nodes of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// So many.
    Count(u32),
    /// Per cent of the nodes of the group, rounded down, at least one.
    Percent(u32),
}

impl Amount {
    /// Of a group of so many.
    pub fn of(self, nodes: usize) -> usize {
        match self {
            Amount::Count(n) => n as usize,
            Amount::Percent(share) => (nodes * share as usize / 100).max(1),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Count(n) => write!(f, "{n}"),
            Amount::Percent(share) => write!(f, "{share}%"),
        }
    }
}

impl FromStr for Amount {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let amount = match text.strip_suffix('%') {
            Some(share) => share.parse().ok().filter(|n| (1..=100).contains(n)).map(Amount::Percent),
            None => text.parse().ok().filter(|n| *n >= 1).map(Amount::Count),
        };
        amount.ok_or_else(|| format!("expected a number of nodes from 1, or a share such as \"10%\", found {text:?}"))
    }
}

/// Times at which slots are granted: days of the week and a span of the day, in UTC. A span over midnight belongs to
/// the day it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// By day, Monday first.
    days: [bool; 7],
    /// Minutes of the day.
    from: u32,
    /// Minutes of the day; not after `from`: of the next day.
    to: u32,
    text: String,
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAY: u64 = 24 * 60;

impl Window {
    /// Whether it is open.
    pub fn is_open(&self, at: Wall) -> bool {
        let minutes = at.0 / 60_000_000;
        let (day, minute) = (minutes / DAY, u32::try_from(minutes % DAY).unwrap_or(0));
        // 1970-01-01 was a Thursday.
        let on = |day: u64| self.days.get(usize::try_from((day + 3) % 7).unwrap_or(0)).is_some_and(|on| *on);
        if self.from < self.to {
            on(day) && (self.from..self.to).contains(&minute)
        } else {
            (on(day) && minute >= self.from) || (day > 0 && on(day - 1) && minute < self.to)
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Window {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "expected a window such as \"Mon..Fri 22:00-06:00\", \"Sat,Sun 00:00-24:00\" or \"01:00-05:00\" \
                 (UTC), found {text:?}"
            )
        };
        let mut words = text.split_whitespace().rev();
        let (span, days) = (words.next().ok_or_else(expected)?, words.next());
        let days = match days {
            Some(days) => parse_days(days).ok_or_else(expected)?,
            None => [true; 7],
        };
        let (from, to) = span.split_once('-').ok_or_else(expected)?;
        let (from, to) = (minutes(from).ok_or_else(expected)?, minutes(to).ok_or_else(expected)?);
        if words.next().is_some() || u64::from(from) == DAY {
            return Err(expected());
        }
        Ok(Self { days, from, to, text: text.to_owned() })
    }
}

fn parse_days(text: &str) -> Option<[bool; 7]> {
    let place = |name: &str| DAYS.iter().position(|day| *day == name);
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        let (first, last) = (place(first)?, place(last)?);
        let mut day = first;
        loop {
            *days.get_mut(day)? = true;
            if day == last {
                break;
            }
            day = (day + 1) % 7;
        }
    }
    Some(days)
}

fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<u32>().ok()).flatten();
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
}

/// One budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotPolicy {
    /// Nodes of one group that may be out of service at once.
    pub max_unavailable: Amount,
    /// Label whose value makes a group; `None`: the fleet is one.
    pub per: Option<String>,
    /// How long a slot lasts, from the holder's own ask.
    pub ttl: Duration,
    /// A slot that has been suspect for this long is broken; `None`: a person does it.
    pub break_after: Option<Duration>,
    /// When slots are granted; empty: always.
    pub windows: Vec<Window>,
}

/// One node at a time, for an hour, whenever it is.
pub(super) static DEFAULT_POLICY: SlotPolicy = SlotPolicy {
    max_unavailable: Amount::Count(1),
    per: None,
    ttl: Duration::from_hours(1),
    break_after: None,
    windows: Vec::new(),
};

impl Default for SlotPolicy {
    fn default() -> Self {
        DEFAULT_POLICY.clone()
    }
}

/// The section that stands for kinds without one of their own: they share one budget.
pub const DEFAULT_POOL: &str = "default";

/// What a slot is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// By which id.
    pub id: &'a SlotId,
    /// Which budget.
    pub pool: &'a str,
    /// Group in it.
    pub group: &'a str,
}

/// What is known of the group besides the document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Nodes in it.
    pub nodes: usize,
    /// Those that are lost: they are out of service, too.
    pub lost: Vec<NodeName>,
}

impl SlotPolicy {
    /// Whether a slot may be granted now, or why not: names who is in the way.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn judge(&self, document: &Document, wanted: &Wanted<'_>, group: &Group, now: Wall) -> Result<(), String> {
        if let Some(why) = &document.frozen {
            return Err(format!("slots are frozen: {why}"));
        }
        if !self.windows.is_empty() && !self.windows.iter().any(|w| w.is_open(now)) {
            let windows: Vec<_> = self.windows.iter().map(ToString::to_string).collect();
            return Err(format!("outside the windows of {} slots ({} UTC)", wanted.pool, windows.join(", ")));
        }
        let same = |slot: &&super::slot::Slot| slot.pool == wanted.pool && slot.group == wanted.group;
        let held: Vec<_> = document.slots.iter().filter(|(_, slot)| same(slot)).collect();
        let holds = |node: &NodeName| held.iter().any(|(id, _)| id.node == *node);
        let lost: Vec<_> = group.lost.iter().filter(|node| !holds(node) && **node != wanted.id.node).collect();
        let most = self.max_unavailable.of(group.nodes);
        if held.len() + lost.len() < most {
            return Ok(());
        }
        let of = if wanted.group.is_empty() { String::new() } else { format!(" of {}", wanted.group) };
        let held = held.iter().map(|(id, slot)| {
            let state = if slot.suspect.is_some() { "is suspect" } else { "is held" };
            let why = if slot.reason.is_empty() { &slot.kind } else { &slot.reason };
            format!("{id} {state} ({why})")
        });
        let names: Vec<_> = held.chain(lost.iter().map(|node| format!("{node} is lost"))).collect();
        Err(format!("{} of {most}{of} may be out of service: {}", names.len().min(most), names.join(", ")))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::slot::Slot;
    use super::*;
    use crate::election::{Boot, Ver};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    /// Thursday, 1970-01-01, plus days, hours, minutes.
    fn at(days: u64, hours: u64, minutes: u64) -> Wall {
        Wall(((days * 24 + hours) * 60 + minutes) * 60_000_000)
    }

    #[test]
    fn mnt_09_windows_open_and_close_in_utc() {
        let nights: Window = "Mon..Fri 22:00-06:00".parse().unwrap();
        // Thursday evening, Friday early, Saturday early (belongs to Friday), Saturday evening.
        for (when, open) in [
            (at(0, 21, 59), false),
            (at(0, 22, 0), true),
            (at(1, 5, 59), true),
            (at(1, 6, 0), false),
            (at(2, 5, 0), true),
            (at(2, 22, 30), false),
            (at(4, 5, 0), false),
            (at(4, 23, 0), true),
        ] {
            assert_eq!(nights.is_open(when), open, "{when:?}");
        }
        let weekend: Window = "Sat,Sun 00:00-24:00".parse().unwrap();
        assert!(weekend.is_open(at(2, 0, 0)) && weekend.is_open(at(3, 23, 59)) && !weekend.is_open(at(4, 0, 0)));
        let over: Window = "Sun..Mon 10:00-11:00".parse().unwrap();
        assert!(over.is_open(at(3, 10, 0)) && over.is_open(at(4, 10, 0)) && !over.is_open(at(5, 10, 0)));
        for bad in ["", "22:00", "22-06", "Mo 01:00-02:00", "Mon 1:00-02:00", "Mon 25:00-02:00", "x Mon 01:00-02:00"] {
            assert!(bad.parse::<Window>().unwrap_err().contains("Mon..Fri 22:00-06:00"), "{bad}");
        }
    }

    #[test]
    fn mnt_09_amounts() {
        assert_eq!("3".parse::<Amount>().unwrap().of(10), 3);
        assert_eq!("10%".parse::<Amount>().unwrap().of(39), 3);
        assert_eq!("10%".parse::<Amount>().unwrap().of(4), 1, "at least one");
        for bad in ["0", "0%", "101%", "-1", "x", ""] {
            assert!(bad.parse::<Amount>().is_err(), "{bad}");
        }
    }

    fn name(text: &str) -> NodeName {
        NodeName::new(text).unwrap()
    }

    fn slot(pool: &str, group: &str, suspect: bool) -> Slot {
        Slot {
            kind: pool.into(),
            pool: pool.into(),
            group: group.into(),
            reason: "kernel".into(),
            fence: Ver::default(),
            since: Wall(0),
            ttl: Duration::from_secs(60),
            suspect: suspect.then(|| "late".into()),
        }
    }

    #[test]
    fn mnt_09_a_budget_counts_granted_suspect_and_lost_in_the_same_group() {
        let id = |node: &str| SlotId { node: name(node), boot: Boot(1), n: 1 };
        let mine = id("c");
        let policy = SlotPolicy { max_unavailable: Amount::Count(2), ..SlotPolicy::default() };
        let wanted = Wanted { id: &mine, pool: "reboot", group: "r1" };
        let with = |slots: Vec<(SlotId, Slot)>, lost: &[&str]| {
            let document = Document { slots: Arc::new(BTreeMap::from_iter(slots)), ..Document::founding([name("a")]) };
            let group = Group { nodes: 5, lost: lost.iter().map(|n| name(n)).collect() };
            policy.judge(&document, &wanted, &group, Wall(0))
        };
        assert_eq!(with(vec![], &[]), Ok(()));
        assert_eq!(with(vec![(id("a"), slot("reboot", "r1", false))], &[]), Ok(()));
        assert_eq!(
            with(vec![(id("a"), slot("reboot", "r2", false)), (id("b"), slot("other", "r1", true))], &["d"]),
            Ok(())
        );
        let why = with(vec![(id("a"), slot("reboot", "r1", false)), (id("b"), slot("reboot", "r1", true))], &[]);
        assert_eq!(
            why.unwrap_err(),
            "2 of 2 of r1 may be out of service: a/1.1 is held (kernel), b/1.1 is suspect (kernel)"
        );
        let why = with(vec![(id("a"), slot("reboot", "r1", false))], &["d", "a"]);
        assert_eq!(why.unwrap_err(), "2 of 2 of r1 may be out of service: a/1.1 is held (kernel), d is lost");
        // The asker itself may have been away for long.
        assert_eq!(with(vec![(id("a"), slot("reboot", "r1", false))], &["c"]), Ok(()));
        let frozen = Document { frozen: Some("black friday".into()), ..Document::founding([name("a")]) };
        let why = policy.judge(&frozen, &wanted, &Group::default(), Wall(0));
        assert_eq!(why.unwrap_err(), "slots are frozen: black friday");
    }
}

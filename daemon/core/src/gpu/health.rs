//! How a card is: from facts to checks, and from checks to a verdict.

use crate::time::Wall;

/// What is known of a card's health. What a card does not tell is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// It does not answer: lost, fallen off the bus, waiting for a reset. With the driver's words.
    pub lost: Option<String>,
    /// A row remap has failed: it goes on corrupting work.
    pub remap_failure: Option<bool>,
    /// A row remap waits for a reset.
    pub remap_pending: Option<bool>,
    /// What the driver asks for: 0 nothing, 1 reset, 2 reboot, 3 drain of peers, 4 drain and reset.
    pub recovery_action: Option<u32>,
    /// Uncorrected ECC errors since the driver was loaded.
    pub uncorrected: Option<u64>,
    /// Pages wait for a reset to be retired.
    pub pages_pending: Option<bool>,
    /// The newest XID of the fatal tier, and when.
    pub fatal_xid: Option<(u32, Wall)>,
}

/// What follows for work on a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong.
    Well,
    /// Work may go on; worth a look.
    Worn(String),
    /// No work for it until that is over.
    Sick(String),
    /// It does not answer.
    Lost(String),
}

impl Verdict {
    /// `healthy`, `degraded`, `sick`, `lost`.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Well => "healthy",
            Verdict::Worn(_) => "degraded",
            Verdict::Sick(_) => "sick",
            Verdict::Lost(_) => "lost",
        }
    }

    /// Why.
    pub fn reason(&self) -> &str {
        match self {
            Verdict::Well => "",
            Verdict::Worn(why) | Verdict::Sick(why) | Verdict::Lost(why) => why,
        }
    }

    /// Work may be given to it.
    pub fn takes_work(&self) -> bool {
        matches!(self, Verdict::Well | Verdict::Worn(_))
    }
}

/// How much an XID says about the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// The card or its link is broken: no more work for it.
    Fatal,
    /// Contained, or of a kind that NVIDIA wants looked at.
    Warning,
    /// The program's own fault, or none.
    Application,
}

/// The tier of an XID (NVIDIA's XID catalogue; the tiers nvidia_gpu_exporter alerts by).
pub fn tier(xid: u32) -> Tier {
    match xid {
        48 | 62 | 64 | 74 | 79 | 95 | 119 | 120 => Tier::Fatal,
        63 | 92 | 94 => Tier::Warning,
        _ => Tier::Application,
    }
}

impl Facts {
    /// Name of each check that the card can be put to, and whether it passes: `reeve_gpu_health{check}`.
    pub fn checks(&self) -> Vec<(&'static str, bool)> {
        let mut checks = vec![("bus", self.lost.is_none()), ("xid", self.fatal_xid.is_none())];
        let mut add = |name, passes: Option<bool>| checks.extend(passes.map(|p| (name, p)));
        add("ecc", self.uncorrected.map(|n| n == 0));
        let rows = [self.remap_failure, self.remap_pending];
        add("rows", rows.iter().any(Option::is_some).then(|| !rows.contains(&Some(true))));
        add("recovery", self.recovery_action.map(|a| a == 0));
        add("pages", self.pages_pending.map(|p| !p));
        checks
    }

    /// What the card itself says; XIDs are events, and open the card's breaker instead.
    pub fn verdict(&self) -> Verdict {
        if let Some(why) = &self.lost {
            return Verdict::Lost(why.clone());
        }
        if self.remap_failure == Some(true) {
            return Verdict::Sick("a row remap has failed; the card must be replaced".into());
        }
        match self.recovery_action {
            Some(1) => return Verdict::Sick("the driver asks for a reset of the card".into()),
            Some(2) => return Verdict::Sick("the driver asks for a reboot".into()),
            Some(3) => return Verdict::Sick("the driver asks for a drain of the card and its peers".into()),
            Some(4) => return Verdict::Sick("the driver asks for a drain and a reset of the card".into()),
            Some(0) | None => {}
            Some(other) => return Verdict::Sick(format!("the driver asks for recovery action {other}")),
        }
        if self.remap_pending == Some(true) {
            return Verdict::Worn("a row remap waits for a reset".into());
        }
        if self.pages_pending == Some(true) {
            return Verdict::Worn("pages wait for a reset to be retired".into());
        }
        match self.uncorrected {
            Some(n) if n > 0 => Verdict::Worn(format!("{n} uncorrected ECC errors since the driver was loaded")),
            _ => Verdict::Well,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SUP-05: what takes a card out, what is only worth a look, what is not known.
    #[test]
    fn sup_05_facts_lead_to_a_verdict() {
        let of = |change: fn(&mut Facts)| {
            let mut facts = Facts::default();
            change(&mut facts);
            facts.verdict().word()
        };
        type Change = fn(&mut Facts);
        let table: [(Change, &str); 9] = [
            (|_| (), "healthy"),
            (|f| f.lost = Some("fell off the bus".into()), "lost"),
            (|f| f.remap_failure = Some(true), "sick"),
            (|f| f.recovery_action = Some(1), "sick"),
            (|f| f.recovery_action = Some(9), "sick"),
            (|f| f.recovery_action = Some(0), "healthy"),
            (|f| f.remap_pending = Some(true), "degraded"),
            (|f| f.uncorrected = Some(3), "degraded"),
            (|f| f.fatal_xid = Some((79, Wall(1))), "healthy"),
        ];
        for (at, (change, want)) in table.into_iter().enumerate() {
            assert_eq!(of(change), want, "row {at}");
        }
    }

    /// MET-21: a check that a card does not support is absent, neither passed nor failed.
    #[test]
    fn met_21_checks_are_those_the_card_supports() {
        assert_eq!(Facts::default().checks(), [("bus", true), ("xid", true)]);
        let facts = Facts { remap_failure: Some(true), recovery_action: Some(0), ..Facts::default() };
        assert_eq!(facts.checks(), [("bus", true), ("xid", true), ("rows", false), ("recovery", true)]);
    }

    #[test]
    fn met_21_tiers_of_xids() {
        let tiers: Vec<_> = [48, 79, 94, 13, 31, 43].into_iter().map(tier).collect();
        use Tier::{Application, Fatal, Warning};
        assert_eq!(tiers, [Fatal, Fatal, Warning, Application, Application, Application]);
    }
}

//! What identifies voters, terms, versions and lives of the daemon.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A name that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node name {0:?} is not valid: use 1 to 64 letters, digits, '.', '-' and '_', starting with a letter or digit")]
pub struct NodeNameError(String);

/// A node of the fleet. It is a level of MQTT topics, hence has no `/`, `+`, `#` or space (MQTT 3.1.1 §4.7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(std::sync::Arc<str>);

impl NodeName {
    /// Checks and makes a name.
    ///
    /// # Errors
    /// If it is empty, longer than 64, has a character that is none of ASCII letters, digits, `.`, `-` and `_`, or starts
    /// with one of the last three.
    pub fn new(name: impl AsRef<str>) -> Result<Self, NodeNameError> {
        let name = name.as_ref();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || name.len() > 64 || !name.chars().all(fits) {
            return Err(NodeNameError(name.to_owned()));
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
impl FromStr for NodeName {
    type Err = NodeNameError;
    fn from_str(text: &str) -> Result<Self, NodeNameError> {
        Self::new(text)
    }
}
impl TryFrom<String> for NodeName {
    type Error = NodeNameError;
    fn try_from(text: String) -> Result<Self, NodeNameError> {
        Self::new(text)
    }
}
impl From<NodeName> for String {
    fn from(name: NodeName) -> String {
        name.0.to_string()
    }
}

/// A reign: at most one leader in each, and it only grows (Raft §5.1). The upper half is the epoch, which `fleet recover`
/// raises, so that every token of an older epoch loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The one after it.
    pub fn next(self) -> Term {
        Term(self.0.saturating_add(1))
    }

    /// How often the fleet was recovered from a lost majority.
    pub fn epoch(self) -> u64 {
        self.0 >> 32
    }

    /// The first term of the next epoch.
    pub fn next_epoch(self) -> Term {
        Term((self.epoch() + 1) << 32)
    }
}
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epoch() {
            0 => write!(f, "{}", self.0),
            epoch => write!(f, "{epoch}:{}", self.0 & 0xffff_ffff),
        }
    }
}

/// A version of the document: the term it was written in, then a number that grows with each. What a version commits
/// carries it as its **fence**: a resource that has seen one refuses every smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Ver {
    /// Term.
    pub term: Term,
    /// Number.
    pub n: u64,
}
impl fmt::Display for Ver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term, self.n)
    }
}

/// One life of the daemon process on a node: counted on its disk, +1 at each start. An image of the disk that is several
/// starts behind shows by it, until it was started as often; one of the present life does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Boot(pub u64);

/// One life of a voter file, drawn when the file is made. A voter that comes with another seat than the one the
/// document has bound to its name has lost what it promised: its votes and answers count no more until an operator says
/// `fleet rejoin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seat(pub u64);

/// Counts writes of the voter file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mark(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_levels_of_topics() {
        for good in ["a", "gpu-07.rack3", "N_1", &"x".repeat(64)] {
            assert!(NodeName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".", "a/b", "+", "#", "a b", "ä", &"x".repeat(65)] {
            assert!(NodeName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_new_epoch_is_above_every_term_of_the_old_one() {
        let late = Term(0xffff_fffe);
        assert!(late.next_epoch() > late.next());
        assert_eq!(late.next_epoch().to_string(), "1:0");
        assert_eq!(Term(7).to_string(), "7");
        assert!(Ver { term: Term(1).next_epoch(), n: 0 } > Ver { term: late, n: 9000 });
    }
}

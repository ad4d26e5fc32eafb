//! A hash chain of lines: pure. What a line's hash covers is the line itself up to the hash, to the byte.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Before the first.
const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const HASH: &str = ",\"hash\":\"";
const END: &str = "\"}";

/// Where a chain stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of the last line, from 1.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, hash: ZERO.to_owned() }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link<'a> {
    /// Its number and hash.
    pub head: Head,
    /// The hash of the line before it.
    pub prev: &'a str,
    /// What it carries, JSON.
    pub entry: &'a str,
}

/// The next line, newline included, and where the chain stands then.
pub fn link(head: &Head, entry: &str) -> (String, Head) {
    let seq = head.seq + 1;
    let mut line = format!("{{\"seq\":{seq},\"prev\":\"{}\",\"entry\":{entry}", head.hash);
    let hash = hash(&line);
    line.push_str(HASH);
    line.push_str(&hash);
    line.push_str(END);
    line.push('\n');
    (line, Head { seq, hash })
}

/// Takes a line apart and checks its own hash.
pub fn read(line: &str) -> Result<Link<'_>, String> {
    let link = read_unchecked(line).ok_or("is torn or not an entry")?;
    let covered = line.len() - HASH.len() - link.head.hash.len() - END.len();
    match line.get(..covered).map(hash) {
        Some(hash) if hash == link.head.hash => Ok(link),
        _ => Err("was altered: it does not match its hash".to_owned()),
    }
}

/// Takes a line apart.
pub fn read_unchecked(line: &str) -> Option<Link<'_>> {
    let (body, hash) = line.strip_suffix(END)?.split_at_checked(line.len() - 64 - END.len())?;
    let body = body.strip_suffix(HASH)?;
    let (seq, rest) = body.strip_prefix("{\"seq\":")?.split_once(",\"prev\":\"")?;
    let (prev, entry) = rest.split_once("\",\"entry\":")?;
    let seq = seq.parse().ok()?;
    let hash = hash.to_owned();
    Some(Link { head: Head { seq, hash }, prev, entry })
}

/// Whether a line comes right after `head`; `None`: what was before it is gone, by rotation.
pub fn follows(link: &Link<'_>, head: Option<&Head>) -> Result<(), String> {
    match head {
        Some(head) if link.head.seq != head.seq + 1 => {
            Err(format!("is missing: entry {} stands in its place", link.head.seq))
        }
        Some(head) if link.prev != head.hash => Err("does not continue the entry before it".to_owned()),
        _ => Ok(()),
    }
}

fn hash(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_link_reads_back_and_continues() {
        let (first, head) = link(&Head::default(), r#"{"a":"\"}"}"#);
        let (second, _) = link(&head, "{}");
        let one = read(first.trim_end()).unwrap();
        assert_eq!((one.head.seq, one.prev, one.entry), (1, ZERO, r#"{"a":"\"}"}"#));
        let two = read(second.trim_end()).unwrap();
        assert_eq!(follows(&two, Some(&one.head)), Ok(()));
        assert!(follows(&two, Some(&Head::default())).is_err());
        assert_eq!(follows(&two, None), Ok(()));
        // Plain JSON for every other tool.
        let json: serde_json::Value = serde_json::from_str(&first).unwrap();
        assert_eq!(json["entry"]["a"], "\"}");
    }

    #[test]
    fn every_altered_byte_shows() {
        let (line, head) = link(&Head::default(), r#"{"a":1}"#);
        let line = line.trim_end();
        for at in 0..line.len() {
            let mut bytes = line.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            let text = String::from_utf8(bytes).unwrap();
            assert!(!read(&text).is_ok_and(|link| link.head == head), "{text}");
        }
        assert!(read("").is_err());
        assert!(read("{}").is_err());
    }
}

//! One line of a run log: `crc32 in hex`, a space, JSON, a newline. A torn or altered line is known by its sum.

use reeve_core::RunEntry;

/// What a line turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// An entry.
    Entry(Box<RunEntry>),
    /// Whole, but of a kind this version does not know.
    Foreign,
    /// Torn or altered.
    Damaged,
}

/// An entry as it is written, newline included.
pub fn encode(entry: &RunEntry) -> Result<Vec<u8>, String> {
    let json = serde_json::to_vec(entry).map_err(|e| format!("cannot write an entry: {e}"))?;
    let mut line = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    Ok(line)
}

/// Every line of a file. After a torn line the next one may stand on the same line: it is found by its own sum.
pub fn decode(bytes: &[u8]) -> impl Iterator<Item = Line> {
    bytes
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .flat_map(|line| match checked(line) {
            Some(json) => [Some(parse(json)), None],
            None => [Some(Line::Damaged), salvage(line).map(parse)],
        })
        .flatten()
}

fn parse(json: &[u8]) -> Line {
    match serde_json::from_slice(json) {
        Ok(entry) => Line::Entry(Box::new(entry)),
        Err(_) => Line::Foreign,
    }
}

fn checked(line: &[u8]) -> Option<&[u8]> {
    let (sum, rest) = line.split_at_checked(8)?;
    let json = rest.strip_prefix(b" ")?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (crc32fast::hash(json) == sum).then_some(json)
}

fn salvage(line: &[u8]) -> Option<&[u8]> {
    (1..line.len())
        .filter(|at| line.get(at + 8) == Some(&b' ') && line.get(at + 9) == Some(&b'{'))
        .find_map(|at| checked(line.get(at..)?))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn port(n: u16) -> Line {
        Line::Entry(Box::new(RunEntry::Port(n)))
    }

    #[test]
    fn lines_read_back_and_damage_is_seen() {
        let mut bytes = encode(&RunEntry::Port(1)).unwrap();
        bytes.extend(encode(&RunEntry::Ready(true)).unwrap());
        let whole: Vec<Line> = decode(&bytes).collect();
        let ready = Line::Entry(Box::new(RunEntry::Ready(true)));
        assert_eq!(whole, [port(1), ready.clone()]);
        bytes[12] ^= 1;
        let altered: Vec<Line> = decode(&bytes).collect();
        assert_eq!(altered, [Line::Damaged, ready]);
    }

    #[test]
    fn an_entry_glued_to_a_torn_one_is_found() {
        let mut bytes = encode(&RunEntry::Port(1)).unwrap();
        bytes.truncate(bytes.len() - 4);
        bytes.extend(encode(&RunEntry::Port(2)).unwrap());
        assert_eq!(decode(&bytes).collect::<Vec<_>>(), [Line::Damaged, port(2)]);
    }

    #[test]
    fn what_a_newer_version_wrote_is_tolerated() {
        let line = |json: &str| format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        let text = line(r#"{"teleported":{"to":"mars"}}"#);
        assert_eq!(decode(text.as_bytes()).collect::<Vec<_>>(), [Line::Foreign]);
        let more = line(r#"{"frozen":{"frozen":true,"isolated":false,"since":5}}"#);
        assert!(matches!(decode(more.as_bytes()).next(), Some(Line::Entry(_))));
    }
}

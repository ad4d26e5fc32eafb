//! Label pairs as they are written, escaped once and shared.

use std::fmt::Write;
use std::sync::Arc;

/// `device="sda",mode="user"`: everything between the braces, ready to be written. Cheap to copy; a source keeps those
/// that do not change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels(Arc<str>);

impl Labels {
    /// No labels.
    pub fn none() -> Self {
        Self("".into())
    }

    /// Writes the pairs down, in the order given.
    pub fn new(pairs: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (name, value) in pairs {
            push(&mut text, name, value);
        }
        Self(text.into())
    }

    /// The same with more pairs behind.
    pub fn and(&self, pairs: &[(&str, &str)]) -> Self {
        let mut text = self.0.to_string();
        for (name, value) in pairs {
            push(&mut text, name, value);
        }
        Self(text.into())
    }

    /// What stands between the braces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pairs again, unescaped.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        let mut rest = self.as_str();
        while let Some((name, after)) = rest.split_once("=\"") {
            let mut value = String::new();
            let mut letters = after.char_indices();
            let mut end = after.len();
            while let Some((at, letter)) = letters.next() {
                match letter {
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    '\\' => match letters.next() {
                        Some((_, 'n')) => value.push('\n'),
                        Some((_, other)) => value.push(other),
                        None => {}
                    },
                    other => value.push(other),
                }
            }
            pairs.push((name.trim_start_matches(',').to_owned(), value));
            rest = after.get(end..).unwrap_or_default();
        }
        pairs
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::none()
    }
}

fn push(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    // Writing into a String cannot fail.
    let _ = write!(text, "{name}=\"");
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_escaped_and_read_back() {
        let pairs = [("device", "sda"), ("path", "a\"b\\c\nd,e=\"f")];
        let labels = Labels::new(&pairs);
        assert_eq!(labels.as_str(), r#"device="sda",path="a\"b\\c\nd,e=\"f""#);
        let back = labels.pairs();
        let back: Vec<_> = back.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(back, pairs);
        assert_eq!(Labels::none().and(&pairs), labels);
        assert!(Labels::none().pairs().is_empty());
    }
}

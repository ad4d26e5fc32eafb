//! Which part of a page is wanted: `?collect[]=`, `reevectl metrics FILTER`.

/// Words, each the name of a source (`cpu`, `gpu`, `supervisor`, `workers`) or a pattern for names of families
/// (`node_*`). Empty: everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    words: Vec<String>,
    except: &'static [&'static str],
}

impl Selection {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// What one of these words names.
    pub fn of(words: impl IntoIterator<Item = String>) -> Self {
        Self { words: words.into_iter().filter(|word| !word.is_empty()).collect(), except: &[] }
    }

    /// But for families whose names begin so.
    pub fn except(mut self, prefixes: &'static [&'static str]) -> Self {
        self.except = prefixes;
        self
    }

    /// Whether this family of this source is wanted.
    pub fn wants(&self, source: &str, family: &str) -> bool {
        let named = || self.words.iter().any(|word| word == source || matches(word, family));
        !self.except.iter().any(|prefix| family.starts_with(prefix)) && (self.words.is_empty() || named())
    }
}

/// `*` stands for any text, everything else for itself.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            match rest.find(middle) {
                Some(at) => rest = &rest[at + middle.len()..],
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_shells_do() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "anything", true),
            ("node_*", "node_load1", true),
            ("node_*", "reeve_node_", false),
            ("*_total", "node_forks_total", true),
            ("*_total", "node_total_x", false),
            ("node_*_bytes_*", "node_disk_read_bytes_total", true),
            ("a*a", "a", false),
            ("a**a", "aa", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn words_name_sources_or_families() {
        let some = Selection::of(["cpu".to_owned(), String::new(), "up*".to_owned()]);
        assert!(some.wants("cpu", "load") && some.wants("gpu", "uptime") && !some.wants("gpu", "load"));
        assert!(Selection::all().wants("gpu", "x") && Selection::of([String::new()]).wants("gpu", "x"));
        let but = Selection::all().except(&["node_"]);
        assert!(but.wants("cpu", "up") && !but.wants("cpu", "node_load1"));
    }
}

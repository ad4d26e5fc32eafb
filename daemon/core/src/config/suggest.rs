//! "did you mean …": the nearest known name.

/// ` (did you mean …?)`, or nothing when no name is near.
pub(super) fn hint<S: AsRef<str>>(found: &str, known: impl IntoIterator<Item = S>) -> String {
    nearest(found, known).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// The known name with the fewest edits, at most a third of its length.
pub(super) fn nearest<S: AsRef<str>>(found: &str, known: impl IntoIterator<Item = S>) -> Option<String> {
    let wanted = plain(found);
    known
        .into_iter()
        .map(|name| (distance(&wanted, &plain(name.as_ref())), name.as_ref().to_owned()))
        .filter(|(edits, name)| *edits <= (name.chars().count() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

/// Case and separators do not count.
fn plain(name: &str) -> Vec<char> {
    name.chars().take(64).filter(|c| *c != '_' && *c != '-').flat_map(char::to_lowercase).collect()
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

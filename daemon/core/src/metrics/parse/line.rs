//! One line of a page.

/// A sample as it stands there.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
    pub(super) timestamp: bool,
}

/// Reads `name{label="value",…} value [timestamp] [# exemplar]`.
pub(super) fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(|c: char| !is_name(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("expected the name of a metric, found {:?}", shortened(line)));
    }
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    // An exemplar stands behind a hash; no value or timestamp has one.
    let rest = rest.split('#').next().unwrap_or_default();
    let mut words = rest.split_whitespace();
    let value = words.next().ok_or_else(|| format!("{name} has no value"))?;
    let value = number(value).ok_or_else(|| format!("the value of {name} is {:?}, not a number", shortened(value)))?;
    let timestamp = words.next();
    if let Some(text) = timestamp.filter(|t| number(t).is_none()) {
        return Err(format!("the timestamp of {name} is {:?}, not a number", shortened(text)));
    }
    if let Some(more) = words.next() {
        return Err(format!("{:?} stands behind {name} and its timestamp", shortened(more)));
    }
    Ok(Sample { name: name.to_owned(), labels, value, timestamp: timestamp.is_some() })
}

type Labels = Vec<(String, String)>;

/// The pairs between the braces, and what follows.
fn labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut pairs: Labels = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((pairs, after));
        }
        let end = rest.find(|c: char| !is_name(c) || c == ':').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("expected the name of a label, found {:?}", shortened(rest)));
        }
        let after = after.trim_start().strip_prefix('=').map(str::trim_start).and_then(|a| a.strip_prefix('"'));
        let after = after.ok_or_else(|| format!("expected =\" behind the label {name}"))?;
        let (value, after) = quoted(after).ok_or_else(|| format!("the value of the label {name} has no end"))?;
        if pairs.iter().any(|(n, _)| n == name) {
            return Err(format!("the label {name} stands there twice"));
        }
        pairs.push((name.to_owned(), value));
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err(format!("expected , or }} behind the label {name}")),
        }
    }
}

/// A text up to its closing quote, unescaped, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((unescape(&text[..at]), &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// `\n` is a line feed, a backslash before anything else is that thing.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'
}

/// Enough of a text to find it again.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

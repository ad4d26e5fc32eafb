//! Text into roff.

/// Text that means only itself, also at the start of a line.
pub fn plain(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    match escaped.chars().next() {
        Some('.') => format!("\\&{escaped}"),
        _ => escaped,
    }
}

/// Plain text in which words between backticks are bold.
pub fn prose(text: &str) -> String {
    let mut out = String::new();
    for (i, part) in text.split('`').enumerate() {
        if i % 2 == 1 {
            out.push_str(&format!("\\fB{}\\fR", plain(part)));
        } else {
            out.push_str(&plain(part));
        }
    }
    out
}

/// A head with text that hangs below it.
pub fn item(head: &str, lines: &[String]) -> String {
    let mut out = format!(".TP\n{head}\n");
    for (i, line) in lines.iter().filter(|l| !l.is_empty()).enumerate() {
        if i > 0 {
            out.push_str(".br\n");
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

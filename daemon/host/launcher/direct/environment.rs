//! `environment_file`: `KEY=VALUE` lines as systemd reads them (systemd.exec(5), EnvironmentFile=).
//!
//! Blank lines and lines that start with `#` or `;` are skipped, a line without `=` is a mistake. Single quotes keep
//! everything, double quotes let a backslash escape `"`, `\`, `` ` `` and `$`, outside of quotes it escapes anything;
//! at the end of a line it joins the next. Quotes may span lines.

use std::collections::BTreeMap;
use std::path::Path;

/// Reads the file; a `-` before the path lets it be absent.
pub(super) fn read(path: &str) -> Result<BTreeMap<String, String>, String> {
    let (path, optional) = match path.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (path, false),
    };
    match std::fs::read_to_string(Path::new(path)) {
        Ok(text) => parse(&text).map_err(|e| format!("environment file {path}: {e}")),
        Err(_) if optional => Ok(BTreeMap::new()),
        Err(e) => Err(format!("environment file {path}: {}", super::prepare::reason(&e))),
    }
}

/// Reads the text.
fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    let mut reader = Reader { rest: text.chars().peekable(), line: 1 };
    while let Some(entry) = reader.entry()? {
        found.insert(entry.0, entry.1);
    }
    Ok(found)
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.next();
        self.line += usize::from(c == Some('\n'));
        c
    }

    fn entry(&mut self) -> Result<Option<(String, String)>, String> {
        loop {
            match self.rest.peek() {
                None => return Ok(None),
                Some(c) if c.is_whitespace() => {
                    self.next();
                }
                Some('#' | ';') => while self.next().is_some_and(|c| c != '\n') {},
                Some(_) => break,
            }
        }
        let line = self.line;
        let mut key = String::new();
        loop {
            match self.next() {
                Some('=') => break,
                Some('\n') | None => {
                    return Err(format!("line {line}: expected KEY=VALUE, found {key:?}"));
                }
                Some(c) => key.push(c),
            }
        }
        let key = key.trim_end();
        let plain = |c: char| c == '_' || c.is_ascii_alphanumeric();
        if key.is_empty() || !key.chars().all(plain) || key.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("line {line}: {key:?} is not a variable name"));
        }
        let value = self.value(line)?;
        Ok(Some((key.to_owned(), value)))
    }

    fn value(&mut self, line: usize) -> Result<String, String> {
        let mut value = String::new();
        // Blanks at the end are dropped, unless quoted or escaped.
        let mut keep = 0;
        while self.rest.peek().is_some_and(|c| matches!(c, ' ' | '\t')) {
            self.next();
        }
        while let Some(c) = self.next() {
            match c {
                '\n' => break,
                '\\' => match self.next() {
                    Some('\n') | None => continue,
                    Some(c) => {
                        value.push(c);
                        keep = value.len();
                    }
                },
                '\'' | '"' => {
                    self.quoted(c, &mut value).ok_or_else(|| format!("line {line}: the quote {c} is never closed"))?;
                    keep = value.len();
                }
                c => {
                    value.push(c);
                    if !c.is_whitespace() {
                        keep = value.len();
                    }
                }
            }
        }
        value.truncate(keep);
        Ok(value)
    }

    fn quoted(&mut self, quote: char, value: &mut String) -> Option<()> {
        loop {
            match self.next()? {
                c if c == quote => return Some(()),
                '\\' if quote == '"' => match self.next()? {
                    '\n' => {}
                    c @ ('"' | '\\' | '`' | '$') => value.push(c),
                    c => value.extend(['\\', c]),
                },
                c => value.push(c),
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn sup_14_values_are_read_as_systemd_does() {
        let text = "# comment\n; too\n\nA=1\nB = two words  \nC='a \"b\" \\n'\nD=\"x\\\"y\\$\\z\"\nE=a\\\n  b\nF=\nG=\"two\nlines\"\nH=a#b\nI=it\\'s\nJ='a'\"b\"c\r\n";
        let got = parse(text).unwrap();
        let want = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "a \"b\" \\n"),
            ("D", "x\"y$\\z"),
            ("E", "a  b"),
            ("F", ""),
            ("G", "two\nlines"),
            ("H", "a#b"),
            ("I", "it's"),
            ("J", "abc"),
        ];
        let want = want.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(got, BTreeMap::from(want));
    }

    #[test]
    fn sup_14_mistakes_name_the_line() {
        for (text, error) in [
            ("A=1\nnonsense\n", "line 2: expected KEY=VALUE, found \"nonsense\""),
            ("A='open\n", "line 1: the quote ' is never closed"),
            ("1A=x", "line 1: \"1A\" is not a variable name"),
            ("export A=x", "line 1: \"export A\" is not a variable name"),
        ] {
            assert_eq!(parse(text).unwrap_err(), error);
        }
    }

    #[test]
    fn a_missing_file_is_an_error_unless_optional() {
        assert_eq!(
            read("/nonexistent/env").unwrap_err(),
            "environment file /nonexistent/env: no such file or directory"
        );
        assert!(read("-/nonexistent/env").unwrap().is_empty());
    }
}

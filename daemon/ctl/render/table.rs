//! Aligned columns. When the terminal is narrow, the columns allowed to give way are cut, the widest of them first.

use super::style::{Style, Tone, tame};

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell in a tone.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        // A cell is one line.
        let text = tame(&text.into()).replace(['\n', '\t'], " ");
        Self { text, tone }
    }
    /// The mark of a state.
    pub fn mark(state: &str, style: &Style) -> Self {
        Self::toned(style.glyph(state), Tone::of_state(state))
    }
    /// A state in the tone that belongs to it.
    pub fn state(state: &str) -> Self {
        Self::toned(state, Tone::of_state(state))
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// One column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    name: &'static str,
    right: bool,
    /// It may be cut down to this many columns.
    least: Option<usize>,
}

impl Column {
    /// Aligned left, never cut.
    pub const fn left(name: &'static str) -> Self {
        Self { name, right: false, least: None }
    }
    /// Aligned right, never cut.
    pub const fn right(name: &'static str) -> Self {
        Self { name, right: true, least: None }
    }
    /// Aligned left; gives way down to `least` columns.
    pub const fn flexible(name: &'static str, least: usize) -> Self {
        Self { name, right: false, least: Some(least) }
    }
}

/// What stands in a cell that has nothing to say.
pub const NOTHING: &str = "-";

/// Header and rows, each line ended, indented by so many blanks.
pub fn table(columns: &[Column], rows: &[Vec<Cell>], indent: usize, style: &Style) -> String {
    let widths = widths(columns, rows, indent, style);
    let mut out = String::new();
    let header: Vec<Cell> = columns.iter().map(|c| Cell::toned(c.name, Tone::Bold)).collect();
    for row in std::iter::once(&header).chain(rows) {
        let mut line = " ".repeat(indent);
        let mut owed = 0;
        for ((cell, column), width) in row.iter().zip(columns).zip(&widths) {
            let text = style.cut(&cell.text, *width);
            let pad = width - text.chars().count().min(*width);
            // Blanks are owed until there is something to put after them: no line ends in blanks.
            let before = owed + if column.right { pad } else { 0 };
            owed = 2 + if column.right { 0 } else { pad };
            if text.is_empty() {
                owed += before;
                continue;
            }
            line.push_str(&" ".repeat(before));
            line.push_str(&style.paint(cell.tone, &text));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn widths(columns: &[Column], rows: &[Vec<Cell>], indent: usize, style: &Style) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|c| c.name.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    let Some(limit) = style.width else {
        return widths;
    };
    let total = indent + widths.iter().sum::<usize>() + 2 * columns.len().saturating_sub(1);
    let mut excess = total.saturating_sub(limit);
    while excess > 0 {
        let spare = |width: usize, c: &Column| c.least.is_some_and(|least| width > least.max(c.name.chars().count()));
        let widest = widths
            .iter_mut()
            .zip(columns)
            .filter(|(width, column)| spare(**width, column))
            .max_by_key(|(width, _)| **width);
        let Some((width, _)) = widest else { break };
        *width -= 1;
        excess -= 1;
    }
    widths
}

/// A text in lines of at most so many columns, broken between words.
pub fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Text in several tones.
pub type Text = Vec<(Tone, String)>;

/// Text in no particular tone; `None` stays `None`.
pub fn plain(text: Option<impl Into<String>>) -> Option<Text> {
    text.map(|t| vec![(Tone::Plain, t.into())])
}

/// `Label: text` lines with the colons in one column; entries without text are left out, long ones go on below.
pub fn fields(entries: &[(&str, Option<Text>)], style: &Style) -> String {
    let shown: Vec<_> = entries.iter().filter_map(|(label, text)| text.as_ref().map(|t| (*label, t))).collect();
    let labels = shown.iter().map(|(label, _)| label.chars().count());
    let width = labels.max().unwrap_or(0).max(10);
    shown.iter().map(|(label, text)| format!("{label:>width$}: {}\n", wrap(text, width + 2, style))).collect()
}

/// Paints the parts, and breaks between words where the line would get too long.
fn wrap(text: &Text, indent: usize, style: &Style) -> String {
    let limit = style.width.map_or(usize::MAX, |w| w.saturating_sub(indent).max(10));
    let mut out = String::new();
    let mut used = 0;
    for (tone, part) in text {
        let mut run = String::new();
        for word in tame(part).split_inclusive(' ') {
            let length = word.trim_end().chars().count();
            if used > 0 && used + length > limit {
                out.push_str(&style.paint(*tone, run.trim_end()));
                run.clear();
                out.truncate(out.trim_end().len());
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                used = 0;
            }
            run.push_str(word);
            used += word.chars().count();
        }
        out.push_str(&style.paint(*tone, &run));
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_cuts_the_widest_flexible_column_first() {
        let columns = [Column::flexible("NAME", 6), Column::right("N"), Column::flexible("REASON", 8)];
        let rows = vec![
            vec!["a-rather-long-name".into(), "7".into(), "because of this and that".into()],
            vec!["b".into(), "12".into(), "".into()],
        ];
        let mut style = crate::ctl::fixtures::style();
        style.width = None;
        assert_eq!(
            table(&columns, &rows, 0, &style),
            "NAME                 N  REASON\n\
             a-rather-long-name   7  because of this and that\n\
             b                   12\n"
        );
        style.width = Some(24);
        assert_eq!(
            table(&columns, &rows, 0, &style),
            "NAME        N  REASON\na-rather…   7  because…\nb          12\n"
        );
        for line in table(&columns, &rows, 0, &style).lines() {
            assert!(line.chars().count() <= 24);
        }
    }
}

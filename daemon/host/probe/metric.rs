//! One number out of a page in the Prometheus text format.

/// The sum over all series of that name. `None`: there is none, which is not zero.
pub fn sum(page: &str, name: &str) -> Option<f64> {
    page.lines()
        .filter_map(|line| value_of(line.trim_start(), name))
        .fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

fn value_of(line: &str, name: &str) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let value = match rest.bytes().next()? {
        b'{' => after_labels(rest)?,
        b' ' | b'\t' => rest,
        _ => return None,
    };
    value.split_ascii_whitespace().next()?.parse().ok()
}

/// Label values may hold a closing brace, inside quotes with backslash escapes.
fn after_labels(text: &str) -> Option<&str> {
    let (mut quoted, mut escaped) = (false, false);
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return text.get(i + 1..),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP active_tasks Work in hand\n# TYPE active_tasks gauge\n\
        active_tasks{queue=\"a}\\\"b\"} 2 1700000000\nactive_tasks{queue=\"c\"} 1.5\n\
        active_tasks_total 9\nidle 0\nbad{x=\"1\nbad x\nodd +Inf\n";

    #[test]
    fn series_of_one_name_are_summed() {
        assert_eq!(sum(PAGE, "active_tasks"), Some(3.5));
        assert_eq!(sum(PAGE, "idle"), Some(0.0));
        assert_eq!(sum(PAGE, "odd"), Some(f64::INFINITY));
    }

    #[test]
    fn a_missing_series_is_not_zero() {
        assert_eq!(sum(PAGE, "active"), None);
        assert_eq!(sum(PAGE, "bad"), None);
        assert_eq!(sum("", "x"), None);
    }
}

//! Numbers as the exposition formats want them.

use std::fmt::Write;

/// Whole numbers below this are exact, and written without a point.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A value: the shortest text that reads back as the same number; `NaN`, `+Inf`, `-Inf`.
pub fn value(out: &mut String, number: f64) {
    if number.fract() == 0.0 && number.abs() < EXACT {
        // Zero loses its sign: nobody counts below it.
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
        let whole = number as i64;
        let _ = write!(out, "{whole}");
    } else if number.is_nan() {
        out.push_str("NaN");
    } else if number.is_infinite() {
        out.push_str(if number > 0.0 { "+Inf" } else { "-Inf" });
    } else if (1e-5..1e21).contains(&number.abs()) {
        let _ = write!(out, "{number}");
    } else {
        let _ = write!(out, "{number:e}");
    }
}

/// A bound (`le`, `quantile`) as Go writes it, since it is compared as text: `0.005`, `1`, `1e+06`. OpenMetrics wants a
/// point or an exponent in every one: `1.0`.
pub fn bound(out: &mut String, number: f64, open_metrics: bool) {
    if !number.is_finite() {
        return value(out, number);
    }
    let from = out.len();
    let digits = format!("{number:e}");
    let (mantissa, exponent) = digits.split_once('e').unwrap_or((&digits, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    } else {
        let _ = write!(out, "{number}");
    }
    if open_metrics && !out[from..].contains(['.', 'e']) {
        out.push_str(".0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(number: f64) -> String {
        let mut out = String::new();
        value(&mut out, number);
        out
    }

    /// MET-18: a value reads back as the same number.
    #[test]
    fn met_18_values_are_short_and_exact() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (16_384_000_000.0, "16384000000"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.3333333333333333"),
            (2.5e-9, "2.5e-9"),
            (1e300, "1e300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(written(number), text);
            let back: f64 = text.parse().unwrap_or(f64::NAN);
            assert!(back == number || number.is_nan(), "{text}");
        }
    }

    /// MET-18: bounds are spelt as Prometheus spells them.
    #[test]
    fn met_18_bounds_are_canonical() {
        for (number, text, open) in [
            (0.0, "0", "0.0"),
            (0.005, "0.005", "0.005"),
            (0.00001, "1e-05", "1e-05"),
            (1.0, "1", "1.0"),
            (2.5, "2.5", "2.5"),
            (100_000.0, "100000", "100000.0"),
            (1e6, "1e+06", "1e+06"),
            (1.5e10, "1.5e+10", "1.5e+10"),
            (f64::INFINITY, "+Inf", "+Inf"),
        ] {
            for (open_metrics, expected) in [(false, text), (true, open)] {
                let mut out = String::new();
                bound(&mut out, number, open_metrics);
                assert_eq!(out, expected);
            }
        }
    }
}

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::metrics::family::Family;
use crate::metrics::parse::{Limits, parse};
use crate::metrics::samples::Histogram;
use crate::rng::Rng;
use std::sync::Arc;

static LOAD: Family = Family::gauge("load", "", "Load\\ \"now\".", "test");
static DONE: Family = Family::counter("done_seconds_total", "seconds", "Time spent.", "test");
static TOOK: Family = Family::gauge("took_seconds", "seconds", "Time taken.", "test").of(Kind::Histogram);
static BUILD: Family = Family::gauge("build_info", "", "Build.", "test").of(Kind::Info);
static ODD: Family = Family::gauge("odd", "", "Odd.", "test").of(Kind::Untyped);
static BARE: Family = Family::counter("forks", "", "A counter without its suffix.", "test");

fn everything() -> Samples {
    let mut samples = Samples::new();
    samples.put(&LOAD, 0.5);
    samples.put_with(&DONE, &Labels::new(&[("cpu", "0")]), 12.25);
    samples.put_with(&DONE, &Labels::new(&[("cpu", "a\"b\\c\nd")]), 3.0);
    let mut histogram = Histogram::new(&[0.005, 1.0, 2_000_000.0][..]);
    histogram.observe(0.5);
    histogram.observe(3e9);
    samples.put_histogram(&TOOK, &Labels::none(), Arc::new(histogram));
    samples.put_with(&BUILD, &Labels::new(&[("version", "1")]), 1.0);
    samples.put(&ODD, f64::NAN);
    samples.put(&BARE, 1e15);
    samples
}

fn render(samples: &Samples, format: Format) -> String {
    let mut page = Page::new();
    page.add(samples, &|_| true);
    page.render(format)
}

/// MET-18: 0.0.4, byte for byte.
#[test]
fn met_18_text_is_as_the_format_says() {
    assert_eq!(
        render(&everything(), Format::Text),
        r#"# HELP build_info Build.
# TYPE build_info gauge
build_info{version="1"} 1
# HELP done_seconds_total Time spent.
# TYPE done_seconds_total counter
done_seconds_total{cpu="0"} 12.25
done_seconds_total{cpu="a\"b\\c\nd"} 3
# HELP forks A counter without its suffix.
# TYPE forks counter
forks 1000000000000000
# HELP load Load\\ "now".
# TYPE load gauge
load 0.5
# HELP odd Odd.
# TYPE odd untyped
odd NaN
# HELP took_seconds Time taken.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.005"} 0
took_seconds_bucket{le="1"} 1
took_seconds_bucket{le="2e+06"} 1
took_seconds_bucket{le="+Inf"} 2
took_seconds_sum 3000000000.5
took_seconds_count 2
"#
    );
}

/// MET-18: OpenMetrics, byte for byte.
#[test]
fn met_18_open_metrics_is_as_the_format_says() {
    assert_eq!(
        render(&everything(), Format::OpenMetrics),
        r#"# HELP build Build.
# TYPE build info
build_info{version="1"} 1
# HELP done_seconds Time spent.
# TYPE done_seconds counter
# UNIT done_seconds seconds
done_seconds_total{cpu="0"} 12.25
done_seconds_total{cpu="a\"b\\c\nd"} 3
# HELP forks A counter without its suffix.
# TYPE forks unknown
forks 1000000000000000
# HELP load Load\\ \"now\".
# TYPE load gauge
load 0.5
# HELP odd Odd.
# TYPE odd unknown
odd NaN
# HELP took_seconds Time taken.
# TYPE took_seconds histogram
# UNIT took_seconds seconds
took_seconds_bucket{le="0.005"} 0
took_seconds_bucket{le="1.0"} 1
took_seconds_bucket{le="2e+06"} 1
took_seconds_bucket{le="+Inf"} 2
took_seconds_sum 3000000000.5
took_seconds_count 2
# EOF
"#
    );
}

/// MET-18: two counters that would share a short name with a gauge are told apart.
#[test]
fn met_18_a_short_name_that_is_taken_is_not_used() {
    let mut foreign = Foreign::new();
    let line = |value| Line { part: Part::Value, labels: Labels::none(), value };
    foreign.add("jobs", Kind::Gauge, line(1.0));
    foreign.add("jobs_total", Kind::Counter, line(2.0));
    let mut page = Page::new();
    page.add_foreign(&foreign, &|_| true);
    let text = page.render(Format::OpenMetrics);
    assert_eq!(text, "# TYPE jobs gauge\njobs 1\n# TYPE jobs_total unknown\njobs_total 2\n# EOF\n");
}

/// MET-17: families of several owners are grouped, a series stands there once, one kind a name.
#[test]
fn met_17_owners_are_merged() {
    let series = |worker: &str, value| Line { part: Part::Value, labels: Labels::new(&[("worker", worker)]), value };
    let (mut one, mut two, mut three) = (Foreign::new(), Foreign::new(), Foreign::new());
    one.add("depth", Kind::Gauge, series("a", 1.0));
    two.add("depth", Kind::Gauge, series("b", 2.0));
    two.add("depth", Kind::Gauge, series("a", 9.0));
    three.add("depth", Kind::Counter, series("c", 3.0));
    let mut page = Page::new();
    for foreign in [&one, &two, &three] {
        page.add_foreign(foreign, &|_| true);
    }
    let text = page.render(Format::Text);
    assert_eq!(text, "# TYPE depth gauge\ndepth{worker=\"a\"} 1\ndepth{worker=\"b\"} 2\n");
}

const LETTERS: [&str; 8] = ["a", "Z", "\"", "\\", "\n", ",", "é", "}"];

fn word(rng: &mut Rng) -> String {
    (0..rng.below(5)).map(|_| LETTERS[usize::try_from(rng.below(8)).unwrap()]).collect()
}

fn number(rng: &mut Rng) -> f64 {
    match rng.below(6) {
        0 => f64::INFINITY,
        1 => 0.0,
        2 => f64::from(u32::try_from(rng.below(1 << 20)).unwrap()),
        3 => f64::from_bits(rng.next_u64() >> 2),
        _ => f64::from(u32::try_from(rng.below(1 << 30)).unwrap()) / 1024.0,
    }
}

/// A page with every kind; names do not clash.
fn any_page(rng: &mut Rng) -> Foreign {
    const KINDS: [(Kind, &str); 6] = [
        (Kind::Counter, "_total"),
        (Kind::Gauge, "_g"),
        (Kind::Histogram, "_h"),
        (Kind::Info, "_info"),
        (Kind::Untyped, "_u"),
        (Kind::Summary, "_s"),
    ];
    let mut foreign = Foreign::new();
    for family in 0..rng.below(8) {
        let (kind, suffix) = KINDS[usize::try_from(rng.below(6)).unwrap()];
        let name = format!("f{family}{suffix}");
        for series in 0..=rng.below(3) {
            let labels = Labels::new(&[("n", &series.to_string()), ("text", &word(rng))]);
            let mut add = |part, value| {
                let line = Line { part, labels: labels.clone(), value };
                foreign.add(&name, kind, line);
            };
            match kind {
                Kind::Histogram => {
                    add(Part::Bucket(number(rng).abs()), 1.0);
                    add(Part::Sum, number(rng));
                    add(Part::Count, 2.0);
                }
                Kind::Summary => {
                    add(Part::Quantile(0.5), number(rng));
                    add(Part::Count, 2.0);
                }
                Kind::Info => add(Part::Value, 1.0),
                Kind::Counter | Kind::Gauge | Kind::Untyped => add(Part::Value, number(rng)),
            }
        }
        foreign.family(&name, kind).help = word(rng);
    }
    foreign
}

/// MET-18: parse(render(x)) = x, in both formats.
#[test]
fn met_18_what_is_written_reads_back() {
    for seed in 0..2000 {
        let mut rng = Rng::new(seed);
        let foreign = any_page(&mut rng);
        for format in [Format::Text, Format::OpenMetrics] {
            let mut page = Page::new();
            page.add_foreign(&foreign, &|_| true);
            let text = page.render(format);
            let back = parse(&text, &Limits::default()).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
            // 0.0.4 has no word for an info.
            let mut expected = foreign.clone();
            if format == Format::Text {
                let infos: Vec<_> =
                    expected.iter().filter(|(_, f)| f.kind == Kind::Info).map(|(n, _)| n.to_owned()).collect();
                infos.iter().for_each(|name| expected.family(name, Kind::Info).kind = Kind::Gauge);
            }
            assert_eq!(back.foreign, expected, "seed {seed}\n{text}");
        }
    }
}

/// MET-18: the same for samples of the table.
#[test]
fn met_18_samples_of_the_table_read_back() {
    let mut samples = everything();
    // Not a number is not equal to itself, a bare counter is unknown to OpenMetrics.
    samples = {
        let mut kept = Samples::new();
        for series in samples.iter().filter(|s| s.family.name != "odd" && s.family.name != "forks") {
            for (labels, value) in &series.samples {
                kept.add(series.family, labels.clone(), value.clone());
            }
        }
        kept
    };
    let text = render(&samples, Format::OpenMetrics);
    let back = parse(&text, &Limits::default()).unwrap();
    let mut expected = Foreign::from(&samples);
    // Only those that are named by their unit say it.
    expected.family("load", Kind::Gauge).unit.clear();
    assert_eq!(back.foreign, expected, "{text}");
}

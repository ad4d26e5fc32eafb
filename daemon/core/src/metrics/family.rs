//! What is known of a family before anything is measured.

/// One family of series. All of them stand in [`super::families::all`]; the text writer, the manual page, the promtool
/// check and `reevectl metrics` are made from there.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Full name as it is written in the text format 0.0.4, `_total` and unit included.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// Base unit, such as `seconds`, `bytes`, `ratio`, `celsius`; empty for a plain number.
    pub unit: &'static str,
    /// One sentence for `# HELP` and the manual page; says the unit and the range where they are not plain.
    pub help: &'static str,
    /// Names of the labels, in the order they are written.
    pub labels: &'static [&'static str],
    /// Where the value comes from: a file, an NVML call, the supervisor.
    pub source: &'static str,
    /// Name in the OpenTelemetry semantic conventions; empty when there is none.
    pub otel: &'static str,
    /// How often it is looked at.
    pub lane: Lane,
}

/// The kinds of the exposition formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, starts anew with its owner.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound, with sum and count.
    Histogram,
    /// Constant 1 whose labels are what is told.
    Info,
    /// Of a kind that the source does not tell: `untyped` in 0.0.4, `unknown` in OpenMetrics.
    Untyped,
    /// Quantiles with sum and count. Only workers have it among their own numbers; no family of Reeve's does.
    Summary,
}

/// How often a family is looked at, and by whom (notes: lanes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Every 5 s, on the thread of the sources.
    Base,
    /// Every 5 s, one thread per mount, with a timeout.
    Mount,
    /// Every 60 s, with a time budget.
    Slow,
    /// GPU, every 5 s, on the thread that owns NVML.
    Fast,
    /// GPU process lists, every 10 s.
    Process,
    /// As it happens.
    Event,
    /// Once.
    Start,
    /// As often as the worker is scraped or reports.
    Worker,
}

impl Kind {
    /// The word behind `# TYPE` in the text format 0.0.4.
    pub fn text(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Info => "gauge",
            Kind::Histogram => "histogram",
            Kind::Untyped => "untyped",
            Kind::Summary => "summary",
        }
    }

    /// The word behind `# TYPE` in OpenMetrics 1.0.
    pub fn open_metrics(self) -> &'static str {
        match self {
            Kind::Info => "info",
            Kind::Untyped => "unknown",
            other => other.text(),
        }
    }
}

impl Family {
    /// A gauge without labels, read in the base lane: the usual one to begin from, in a `const`.
    pub const fn gauge(name: &'static str, unit: &'static str, help: &'static str, source: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, unit, help, labels: &[], source, otel: "", lane: Lane::Base }
    }

    /// A counter without labels, read in the base lane.
    pub const fn counter(name: &'static str, unit: &'static str, help: &'static str, source: &'static str) -> Self {
        Self { kind: Kind::Counter, ..Self::gauge(name, unit, help, source) }
    }

    /// With these labels.
    pub const fn with(mut self, labels: &'static [&'static str]) -> Self {
        self.labels = labels;
        self
    }

    /// Of another kind.
    pub const fn of(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// In another lane.
    pub const fn on(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// With its name in OpenTelemetry.
    pub const fn otel(mut self, name: &'static str) -> Self {
        self.otel = name;
        self
    }
}

//! One line: `name:value[:value…]|type[|@rate][|#tag:value,…][|…]`.

/// Bytes of a name.
const NAME_MAX: usize = 200;
/// The smallest sample rate: one observation stands for a million.
const RATE_MIN: f64 = 1e-6;

/// A line that is understood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Message<'a> {
    /// As it was sent.
    pub name: &'a str,
    /// What it is.
    pub kind: Type,
    /// Its values, `:` between them; each of them is a number unless it is of a set.
    values: &'a str,
    /// Which share of the events was sent, above 0 and up to 1.
    pub rate: f64,
    /// `name:value` pairs, `,` between them.
    tags: &'a str,
}

/// Types of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// `c`: added to what was.
    Counter,
    /// `g`: replaces what was; with a sign before it, is added to it.
    Gauge,
    /// `ms`: a span in milliseconds.
    Timing,
    /// `h` and `d`: an observation.
    Histogram,
    /// `s`: how many different ones there are.
    Set,
}

/// Why a line is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// It is not DogStatsD.
    Malformed,
    /// An event; Reeve does not keep them.
    Event,
    /// A service check; probes do that.
    ServiceCheck,
    /// A counter that counts down.
    Negative,
    /// A name that is another kind of metric already, or Reeve's own.
    Name,
    /// One series too many.
    Over,
    /// A datagram that is longer than any may be.
    TooLong,
    /// Sent by somebody who is not the worker.
    Stranger,
}

impl Refused {
    /// All of them.
    pub const ALL: [Refused; 8] = [
        Refused::Malformed,
        Refused::Event,
        Refused::ServiceCheck,
        Refused::Negative,
        Refused::Name,
        Refused::Over,
        Refused::TooLong,
        Refused::Stranger,
    ];

    /// The label value.
    pub fn word(self) -> &'static str {
        match self {
            Refused::Malformed => "malformed",
            Refused::Event => "event",
            Refused::ServiceCheck => "service-check",
            Refused::Negative => "negative",
            Refused::Name => "name",
            Refused::Over => "worker-cap",
            Refused::TooLong => "too-long",
            Refused::Stranger => "stranger",
        }
    }
}

/// Reads one line.
pub fn parse(line: &str) -> Result<Message<'_>, Refused> {
    if line.starts_with("_e{") {
        return Err(Refused::Event);
    }
    if line.starts_with("_sc|") {
        return Err(Refused::ServiceCheck);
    }
    let (name, rest) = line.split_once(':').ok_or(Refused::Malformed)?;
    let mut parts = rest.split('|');
    let values = parts.next().unwrap_or_default();
    let kind = match parts.next() {
        Some("c") => Type::Counter,
        Some("g") => Type::Gauge,
        Some("ms") => Type::Timing,
        Some("h" | "d") => Type::Histogram,
        Some("s") => Type::Set,
        _ => return Err(Refused::Malformed),
    };
    let named = !name.is_empty() && name.len() <= NAME_MAX && !name.contains(|c: char| c.is_control() || c == '|');
    let well = match kind {
        Type::Set => !values.is_empty(),
        _ => values.split(':').all(|value| number(value).is_some()),
    };
    if !named || !well {
        return Err(Refused::Malformed);
    }
    let mut message = Message { name, kind, values, rate: 1.0, tags: "" };
    for part in parts {
        if let Some(rate) = part.strip_prefix('@') {
            let rate = number(rate).filter(|rate| (RATE_MIN..=1.0).contains(rate));
            message.rate = rate.ok_or(Refused::Malformed)?;
        } else if let Some(tags) = part.strip_prefix('#') {
            message.tags = tags;
        }
        // Later versions of the protocol add more: container, timestamp, cardinality. None of it is ours.
    }
    Ok(message)
}

impl<'a> Message<'a> {
    /// The numbers, each with whether a sign stands before it. None of a set.
    pub fn numbers(&self) -> impl Iterator<Item = (f64, bool)> {
        let values = Some(self.values).filter(|_| self.kind != Type::Set);
        let signed = |value: &str| value.starts_with(['+', '-']);
        values.into_iter().flat_map(|all| all.split(':')).filter_map(move |v| Some((number(v)?, signed(v))))
    }

    /// The member of a set.
    pub fn member(&self) -> &'a str {
        self.values
    }

    /// Tags that have a value.
    pub fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.tags.split(',').filter_map(|tag| tag.split_once(':'))
    }
}

/// A finite number.
fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

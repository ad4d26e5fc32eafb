//! Arguments of a call, checked against the table: types, names and types of options. Here too: how arguments are
//! shown in the audit trail, with secrets left out.

use super::error::Error;
use super::table::Method;
use reeve_core::{ReplicaId, Target, WorkerName};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;
use zbus::message::Body;
use zbus::{OwnedVariant, Structure, Variant};

/// Longest text taken as a reason, a request id, who or why.
const TEXT_MAX: usize = 1024;
/// Shown instead of a secret.
const REDACTED: &str = "(redacted)";

/// The arguments that are left to be taken, and the options.
#[derive(Debug, Default)]
pub(super) struct Args {
    values: VecDeque<(&'static str, OwnedVariant)>,
    /// Common options, and those of the method.
    pub options: Options,
    /// All of it, for the audit trail.
    pub shown: BTreeMap<String, Json>,
}

/// The options dictionary.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// Why.
    pub reason: Option<String>,
    /// Same id, same task run.
    pub request_id: Option<String>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// Change nothing.
    pub dry_run: bool,
    own: BTreeMap<&'static str, OwnedVariant>,
}

impl Args {
    /// Reads the body of a call of `method`.
    pub fn read(method: &'static Method, body: &Body) -> Result<Self, Error> {
        let expected = method.input_signature();
        let got = body.signature().to_string_no_parens();
        if got != expected {
            return Err(Error::signature(method.name, &expected, &got));
        }
        let malformed = |e: zbus::Error| Error::argument(format!("malformed arguments: {e}"));
        let mut fields: VecDeque<OwnedVariant> = match method.input.len() {
            0 => VecDeque::new(),
            // The only methods of one argument take just the options.
            1 => {
                let options: HashMap<String, OwnedVariant> = body.deserialize().map_err(malformed)?;
                let options = Variant::from(options);
                VecDeque::from([options.try_to_owned().map_err(malformed)?])
            }
            _ => {
                let body: Structure<'_> = body.deserialize().map_err(malformed)?;
                body.fields().iter().map(Variant::try_to_owned).collect::<zbus::Result<_>>().map_err(malformed)?
            }
        };
        let mut args = Args::default();
        let mut given = None;
        for argument in method.input {
            let Some(value) = fields.pop_front() else {
                break;
            };
            if argument.name == "opt" {
                given = Some(value);
            } else {
                args.shown.insert(argument.name.to_owned(), json(argument.name, &value));
                args.values.push_back((argument.name, value));
            }
        }
        if let Some(given) = given {
            let given: HashMap<String, OwnedVariant> = given.try_into().map_err(|e: zbus::Error| malformed(e))?;
            for (key, value) in &given {
                args.shown.insert(key.clone(), json(key, value));
            }
            args.options = Options::read(method, given)?;
        }
        Ok(args)
    }

    fn take<T>(&mut self, expected: &str) -> Result<T, Error>
    where
        T: TryFrom<OwnedVariant>,
    {
        let (name, value) =
            self.values.pop_front().ok_or_else(|| Error::argument(format!("an argument is missing: {expected}")))?;
        T::try_from(value).map_err(|_| Error::argument(format!("{name}: expected {expected}")))
    }

    /// The next argument: a text.
    pub fn text(&mut self) -> Result<String, Error> {
        let text: String = self.take("a text")?;
        bounded("an argument", text)
    }

    /// The argument `reason`, wherever it stands; `None`: there is none, or it is empty.
    pub fn reason(&mut self) -> Result<Option<String>, Error> {
        let Some(at) = self.values.iter().position(|(name, _)| *name == "reason") else { return Ok(None) };
        let Some((name, value)) = self.values.remove(at) else { return Ok(None) };
        let reason = String::try_from(value).map_err(|_| Error::argument("reason: expected a text"))?;
        Ok(Some(bounded(name, reason)?).filter(|r| !r.is_empty()))
    }

    /// The next argument: a list of texts, not more of them than anybody types.
    pub fn texts(&mut self) -> Result<Vec<String>, Error> {
        const MOST: usize = 64;
        let texts: Vec<String> = self.take("a list of texts")?;
        if texts.len() > MOST {
            return Err(Error::argument(format!("expected at most {MOST} texts, found {}", texts.len())));
        }
        texts.into_iter().map(|text| bounded("an argument", text)).collect()
    }

    /// The next argument: a count.
    pub fn count(&mut self) -> Result<u32, Error> {
        self.take("a count")
    }

    /// The next argument: a time in µs.
    pub fn time(&mut self) -> Result<u64, Error> {
        self.take("a time in microseconds")
    }

    /// The next argument: a signal number.
    pub fn number(&mut self) -> Result<i32, Error> {
        self.take("a number")
    }

    /// The next argument: a dictionary, its values as text.
    pub fn dictionary(&mut self) -> Result<BTreeMap<String, String>, Error> {
        let given: HashMap<String, OwnedVariant> = self.take("a dictionary")?;
        given
            .into_iter()
            .map(|(key, value)| match plain(&value) {
                Some(text) => Ok((key, text)),
                None => Err(Error::argument(format!("{key}: expected a text, a number or a boolean"))),
            })
            .collect()
    }

    /// The next argument: `worker` or `worker/n`.
    pub fn target(&mut self) -> Result<Target, Error> {
        let text = self.text()?;
        text.parse().map_err(|e| Error::argument(format!("target: {e}")))
    }

    /// The next argument: a worker.
    pub fn worker(&mut self) -> Result<WorkerName, Error> {
        let text = self.text()?;
        WorkerName::new(text).map_err(|e| Error::argument(format!("worker: {e}")))
    }
}

/// The replica a target names.
pub(super) fn replica(target: Target) -> Result<ReplicaId, Error> {
    match target {
        Target::Replica(replica) => Ok(replica),
        Target::Worker(worker) => {
            Err(Error::argument(format!("expected one replica, such as {worker}/1, not a whole worker")))
        }
    }
}

impl Options {
    fn read(method: &'static Method, given: HashMap<String, OwnedVariant>) -> Result<Self, Error> {
        let mut options = Options::default();
        for (key, value) in given {
            let Some(known) = method.option(&key) else {
                return Err(Error::argument(format!(
                    "{} has no option {key:?}; it takes {}",
                    method.name,
                    known_options(method)
                )));
            };
            let wrong = || {
                Error::argument(format!(
                    "option {key}: expected type {}, not {}",
                    known.signature,
                    value.value_signature().to_string_no_parens()
                ))
            };
            match known.name {
                "reason" => options.reason = Some(bounded(&key, text(&value).ok_or_else(wrong)?)?),
                "request-id" => {
                    options.request_id = Some(bounded(&key, text(&value).ok_or_else(wrong)?)?);
                }
                "timeout-usec" => {
                    let span = unsigned(&value).ok_or_else(wrong)?;
                    options.timeout = (span > 0).then(|| Duration::from_micros(span));
                }
                "dry-run" => options.dry_run = boolean(&value).ok_or_else(wrong)?,
                name => {
                    let fits = match known.signature {
                        "b" => boolean(&value).is_some(),
                        "u" => unsigned(&value).is_some_and(|n| u32::try_from(n).is_ok()),
                        "t" => unsigned(&value).is_some(),
                        "as" => texts(&value).is_some(),
                        _ => text(&value).is_some(),
                    };
                    if !fits {
                        return Err(wrong());
                    }
                    options.own.insert(name, value);
                }
            }
        }
        Ok(options)
    }

    /// An option of the method: false when it is not given.
    pub fn flag(&self, name: &str) -> bool {
        self.own.get(name).and_then(|v| boolean(v)).unwrap_or(false)
    }

    /// An option of the method.
    pub fn unsigned(&self, name: &str) -> Option<u64> {
        self.own.get(name).and_then(|v| unsigned(v))
    }

    /// An option of the method.
    pub fn text(&self, name: &str) -> Option<String> {
        self.own.get(name).and_then(|v| text(v))
    }

    /// An option of the method: none when it is not given.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.own.get(name).and_then(|v| texts(v)).unwrap_or_default()
    }
}

fn known_options(method: &Method) -> String {
    let names: Vec<_> = method.options.iter().chain(super::table::COMMON_OPTIONS).map(|o| o.name).collect();
    names.join(", ")
}

fn bounded(what: &str, text: String) -> Result<String, Error> {
    if text.len() > TEXT_MAX || text.contains('\0') {
        return Err(Error::argument(format!("{what}: expected at most {TEXT_MAX} bytes of text")));
    }
    Ok(text)
}

fn text(value: &Variant<'_>) -> Option<String> {
    match value {
        Variant::Str(s) => Some(s.as_str().to_owned()),
        Variant::Variant(v) => text(v),
        _ => None,
    }
}

fn texts(value: &Variant<'_>) -> Option<Vec<String>> {
    match value {
        Variant::Array(list) => list.iter().map(text).collect(),
        Variant::Variant(v) => texts(v),
        _ => None,
    }
}

fn boolean(value: &Variant<'_>) -> Option<bool> {
    match value {
        Variant::Bool(b) => Some(*b),
        Variant::Variant(v) => boolean(v),
        _ => None,
    }
}

/// Any integer that is not negative: who types a call should not have to tell u from t.
fn unsigned(value: &Variant<'_>) -> Option<u64> {
    match value {
        Variant::U8(n) => Some(u64::from(*n)),
        Variant::U16(n) => Some(u64::from(*n)),
        Variant::U32(n) => Some(u64::from(*n)),
        Variant::U64(n) => Some(*n),
        Variant::I16(n) => u64::try_from(*n).ok(),
        Variant::I32(n) => u64::try_from(*n).ok(),
        Variant::I64(n) => u64::try_from(*n).ok(),
        Variant::Variant(v) => unsigned(v),
        _ => None,
    }
}

fn plain(value: &Variant<'_>) -> Option<String> {
    match value {
        Variant::F64(n) => Some(n.to_string()),
        _ => text(value)
            .or_else(|| boolean(value).map(|b| b.to_string()))
            .or_else(|| unsigned(value).map(|n| n.to_string())),
    }
}

/// A value as the audit trail shows it: a secret is named, never shown.
fn json(key: &str, value: &Variant<'_>) -> Json {
    if secret(key) {
        return Json::from(REDACTED);
    }
    match value {
        Variant::Str(s) => Json::from(s.as_str()),
        Variant::Bool(b) => Json::from(*b),
        Variant::I16(n) => Json::from(*n),
        Variant::I32(n) => Json::from(*n),
        Variant::I64(n) => Json::from(*n),
        Variant::F64(n) => Json::from(*n),
        Variant::Variant(v) => json(key, v),
        Variant::Array(a) => Json::Array(a.iter().map(|v| json(key, v)).collect()),
        Variant::Dict(d) => Json::Object(
            d.iter()
                .map(|(k, v)| {
                    let k = text(k).unwrap_or_else(|| k.to_string());
                    let v = json(&k, v);
                    (k, v)
                })
                .collect(),
        ),
        other => unsigned(other).map_or_else(|| Json::from(other.to_string()), Json::from),
    }
}

/// Whether a value under this key is none of the audit trail's business.
pub(super) fn secret(key: &str) -> bool {
    const WORDS: &[&str] =
        &["password", "passwd", "passphrase", "secret", "token", "credential", "private", "api-key", "apikey", "auth"];
    let key = key.to_ascii_lowercase().replace('_', "-");
    WORDS.iter().any(|w| key.contains(w))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

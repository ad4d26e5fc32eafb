//! Wire values into plain ones, and tolerant reading of open-ended dictionaries.

use super::traits::More;
use reeve_core::Wall;
use serde_json::{Map, Number, Value};
use zbus::Variant;

/// A D-Bus value as JSON has it. A descriptor has no such form and becomes null.
pub(super) fn plain(value: &Variant<'_>) -> Value {
    match value {
        Variant::U8(n) => Value::from(*n),
        Variant::Bool(b) => Value::from(*b),
        Variant::I16(n) => Value::from(*n),
        Variant::U16(n) => Value::from(*n),
        Variant::I32(n) => Value::from(*n),
        Variant::U32(n) => Value::from(*n),
        Variant::I64(n) => Value::from(*n),
        Variant::U64(n) => Value::from(*n),
        Variant::F64(n) => Number::from_f64(*n).map_or(Value::Null, Value::Number),
        Variant::Str(s) => Value::from(s.as_str()),
        Variant::Signature(s) => Value::from(s.to_string()),
        Variant::ObjectPath(p) => Value::from(p.as_str()),
        Variant::Variant(inner) => plain(inner),
        Variant::Array(items) => items.inner().iter().map(plain).collect(),
        Variant::Dict(entries) => entries
            .iter()
            .map(|(k, v)| {
                let key = match k {
                    Variant::Str(s) => s.as_str().to_owned(),
                    other => plain(other).to_string(),
                };
                (key, plain(v))
            })
            .collect::<Map<_, _>>()
            .into(),
        Variant::Structure(s) => s.fields().iter().map(plain).collect(),
        Variant::Fd(_) => Value::Null,
    }
}

/// A dictionary of named values from the daemon. What is missing, empty or of another type reads as absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fields(pub(super) Map<String, Value>);

impl From<More> for Fields {
    fn from(more: More) -> Self {
        Self(more.iter().map(|(k, v)| (k.clone(), plain(v))).collect())
    }
}

impl Fields {
    pub(super) fn of(value: &Value) -> Self {
        Self(value.as_object().cloned().unwrap_or_default())
    }

    /// A text that is not empty.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.0.get(key)?.as_str().filter(|s| !s.is_empty()).map(str::to_owned)
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.as_u64()
    }

    pub(super) fn signed(&self, key: &str) -> Option<i64> {
        self.0.get(key)?.as_i64()
    }

    pub(super) fn float(&self, key: &str) -> Option<f64> {
        self.0.get(key)?.as_f64()
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.0.get(key)?.as_bool()
    }

    /// A number whose zero means "none": a pid, a port, a time.
    pub(super) fn nonzero(&self, key: &str) -> Option<u64> {
        self.number(key).filter(|n| *n > 0)
    }

    /// A time in µs, named `key` or `key_usec`.
    pub(super) fn wall(&self, key: &str) -> Option<Wall> {
        self.nonzero(key).or_else(|| self.nonzero(&format!("{key}_usec"))).map(Wall)
    }

    /// A gauge: zero and systemd's "unknown" are none.
    pub(super) fn gauge(&self, key: &str) -> Option<u64> {
        self.nonzero(key).filter(|n| *n != u64::MAX)
    }

    pub(super) fn dict(&self, key: &str) -> Option<Fields> {
        let fields = Self::of(self.0.get(key)?);
        (!fields.0.is_empty()).then_some(fields)
    }

    pub(super) fn list(&self, key: &str) -> &[Value] {
        self.0.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A list of texts; a pair such as `(who, why)` becomes `who: why`.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        self.list(key)
            .iter()
            .map(|v| match v {
                Value::String(s) => s.clone(),
                Value::Array(parts) => parts.iter().map(bare).collect::<Vec<_>>().join(": "),
                Value::Object(parts) => parts.values().map(bare).collect::<Vec<_>>().join(": "),
                other => other.to_string(),
            })
            .collect()
    }
}

/// A value as text, without the quotes of a JSON string.
pub(super) fn bare(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

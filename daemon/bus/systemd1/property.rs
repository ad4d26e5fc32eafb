//! Unit properties as they are written: a name and a value of one of the types systemd uses.

use std::borrow::Cow;
use zbus::Variant;

/// One property of a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// `MemoryMax`.
    pub name: Cow<'static, str>,
    /// What it is set to.
    pub value: Value,
}

impl Property {
    /// `name = value`.
    pub fn new(name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// A value, named after its meaning; the D-Bus type stands beside it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `b`
    Bool(bool),
    /// `i`
    I32(i32),
    /// `u`
    U32(u32),
    /// `t`
    U64(u64),
    /// `s`
    Text(String),
    /// `as`
    Texts(Vec<String>),
    /// `ay`
    Bytes(Vec<u8>),
    /// `aay`
    Blobs(Vec<Vec<u8>>),
    /// `(bas)`: whether the list allows, and the list.
    Filter(bool, Vec<String>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
    /// `a(sb)`: paths, and whether each may be missing.
    Files(Vec<(String, bool)>),
    /// `(aiai)`: exit codes and signals.
    Statuses(Vec<i32>, Vec<i32>),
    /// `a(iayu)`: address family, address, prefix length.
    Addresses(Vec<(i32, Vec<u8>, u32)>),
    /// `a(ssbt)`: source, destination, may be missing, mount flags.
    Binds(Vec<(String, String, bool, u64)>),
    /// `a(sasb)`: program, arguments with the program in front, whether its failure is ignored.
    Commands(Vec<(String, Vec<String>, bool)>),
}

impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Value::Bool(v)
    }
}
impl From<u64> for Value {
    fn from(v: u64) -> Self {
        Value::U64(v)
    }
}
impl From<i32> for Value {
    fn from(v: i32) -> Self {
        Value::I32(v)
    }
}
impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Value::Text(v.to_owned())
    }
}
impl From<String> for Value {
    fn from(v: String) -> Self {
        Value::Text(v)
    }
}
impl From<Vec<String>> for Value {
    fn from(v: Vec<String>) -> Self {
        Value::Texts(v)
    }
}

fn variant(value: &Value) -> Variant<'_> {
    match value {
        Value::Bool(v) => Variant::from(*v),
        Value::I32(v) => Variant::from(*v),
        Value::U32(v) => Variant::from(*v),
        Value::U64(v) => Variant::from(*v),
        Value::Text(v) => Variant::from(v.as_str()),
        Value::Texts(v) => Variant::from(v.clone()),
        Value::Bytes(v) => Variant::from(v.clone()),
        Value::Blobs(v) => Variant::from(v.clone()),
        Value::Filter(allow, v) => Variant::from((*allow, v.clone())),
        Value::Pairs(v) => Variant::from(v.clone()),
        Value::Files(v) => Variant::from(v.clone()),
        Value::Statuses(codes, signals) => Variant::from((codes.clone(), signals.clone())),
        Value::Addresses(v) => Variant::from(v.clone()),
        Value::Binds(v) => Variant::from(v.clone()),
        Value::Commands(v) => Variant::from(v.clone()),
    }
}

/// Properties as the method calls take them.
pub(super) fn wire<'a>(properties: impl IntoIterator<Item = &'a Property>) -> Vec<(&'a str, Variant<'a>)> {
    properties.into_iter().map(|p| (&*p.name, variant(&p.value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_types_systemd_wants() {
        for (value, signature) in [
            (Value::Texts(vec![]), "as"),
            (Value::Blobs(vec![]), "aay"),
            (Value::Filter(true, vec![]), "(bas)"),
            (Value::Pairs(vec![]), "a(ss)"),
            (Value::Files(vec![]), "a(sb)"),
            (Value::Statuses(vec![77], vec![]), "(aiai)"),
            (Value::Addresses(vec![]), "a(iayu)"),
            (Value::Binds(vec![]), "a(ssbt)"),
            (Value::Commands(vec![]), "a(sasb)"),
        ] {
            assert_eq!(variant(&value).value_signature().to_string(), signature);
        }
    }
}

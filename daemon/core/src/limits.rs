//! Live resources: the values of `reevectl set` over those of the definition (SUP-04, SCL-03).

use crate::config::Resources;
use crate::config::units;
use std::collections::BTreeMap;

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// No such key.
    #[error("{0:?} cannot be set live; known: memory_max, memory_low, cpu_quota, tasks_max")]
    NoSuchKey(String),
    /// The value cannot be read, or contradicts another.
    #[error("{key}={value}: {why}")]
    Value {
        /// Which.
        key: String,
        /// As given.
        value: String,
        /// What was expected.
        why: String,
    },
}

/// Checks `values` over `base`; an empty value takes the definition's figure back.
pub fn check(base: Resources, values: &BTreeMap<String, String>) -> Result<Resources, LimitError> {
    let mut limits = base;
    for (key, value) in values {
        set(&mut limits, key, value)?;
    }
    let contradiction = |key: &str, why: &str| {
        Err(LimitError::Value { key: key.into(), value: values.get(key).cloned().unwrap_or_default(), why: why.into() })
    };
    if let (Some(request), Some(limit)) = (limits.memory_request, limits.memory_limit)
        && request > limit
    {
        return contradiction(
            "memory_max",
            &format!("the worker requests {request} bytes, the limit must not be lower"),
        );
    }
    if let (Some(request), Some(limit)) = (limits.cpu_request, limits.cpu_limit)
        && request > limit
    {
        return contradiction(
            "cpu_quota",
            &format!("the worker requests {request}% of a CPU, the limit must not be lower"),
        );
    }
    Ok(limits)
}

/// [`check`] for values that were checked when they were set; one that no longer fits is left out.
pub fn apply(base: Resources, values: &BTreeMap<String, String>) -> Resources {
    let mut limits = base;
    for (key, value) in values {
        let mut next = limits;
        if set(&mut next, key, value).is_ok() {
            limits = next;
        }
    }
    limits
}

fn set(limits: &mut Resources, key: &str, value: &str) -> Result<(), LimitError> {
    let bad = |why: String| LimitError::Value { key: key.into(), value: value.into(), why };
    if value.is_empty() {
        return Ok(());
    }
    match key {
        "memory_max" => limits.memory_limit = Some(units::parse_size(value).map_err(|e| bad(e.to_string()))?),
        "memory_low" => limits.memory_request = Some(units::parse_size(value).map_err(|e| bad(e.to_string()))?),
        "cpu_quota" => {
            let percent = value.strip_suffix('%').and_then(|p| p.trim().parse::<u64>().ok()).filter(|p| *p > 0);
            limits.cpu_limit = Some(percent.ok_or_else(|| bad("expected a share of one CPU such as \"200%\"".into()))?);
        }
        "tasks_max" => {
            let n = value.parse::<u64>().ok().filter(|n| *n > 0);
            limits.tasks_max = Some(n.ok_or_else(|| bad("expected a number above 0".into()))?);
        }
        _ => return Err(LimitError::NoSuchKey(key.to_owned())),
    }
    Ok(())
}

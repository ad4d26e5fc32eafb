//! `config check|show|explain KEY|diff`.

use super::reload;
use crate::ctl::args::ConfigVerb;
use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, NO, YES};
use crate::ctl::json;
use crate::ctl::render::listings;
use serde_json::{Value, json};

/// What `explain` always has in its document.
const FACTS: [&str; 7] = ["value", "origin", "default", "unit", "range", "requirement", "text"];

/// Carries out one of them.
pub async fn run(ctl: &Ctl, verb: &ConfigVerb) -> Result<u8, Failure> {
    match verb {
        ConfigVerb::Check => check(ctl).await,
        ConfigVerb::Show => show(ctl).await,
        ConfigVerb::Explain { key } => explain(ctl, key).await,
        ConfigVerb::Diff { full } => diff(ctl, *full).await,
    }
}

/// The daemon's own check, so it says what a reload would say.
async fn check(ctl: &Ctl) -> Result<u8, Failure> {
    let (client, _agent) = ctl.asking_client().await?;
    let marks = client.check_config().await.doing("check the configuration")?;
    if ctl.global.json {
        let document: Vec<_> = marks.iter().map(json::Mark::new).collect();
        ctl.document(&document)?;
    } else {
        ctl.show(&listings::marks(&marks, &ctl.style))?;
    }
    Ok(if marks.iter().any(|m| m.is_error()) { NO } else { YES })
}

async fn show(ctl: &Ctl) -> Result<u8, Failure> {
    let (client, _agent) = ctl.asking_client().await?;
    let mut toml = client.show_config().await.doing("show the configuration")?;
    if ctl.global.json {
        ctl.document(&json!({ "toml": toml }))?;
    } else {
        if !toml.is_empty() && !toml.ends_with('\n') {
            toml.push('\n');
        }
        ctl.show(&toml)?;
    }
    Ok(YES)
}

async fn explain(ctl: &Ctl, key: &str) -> Result<u8, Failure> {
    let (client, _agent) = ctl.asking_client().await?;
    let facts = client.explain_config(key).await.doing(format!("explain {key}"))?;
    if ctl.global.json {
        let mut document = serde_json::Map::new();
        document.insert("key".to_owned(), Value::from(key));
        for name in FACTS {
            let value = facts.get(name).filter(|v| **v != json!("")).cloned();
            document.insert(name.to_owned(), value.unwrap_or(Value::Null));
        }
        ctl.document(&document)?;
    } else {
        ctl.show(&listings::explain(key, &facts, &ctl.style.unbounded()))?;
    }
    Ok(YES)
}

async fn diff(ctl: &Ctl, full: bool) -> Result<u8, Failure> {
    let (client, _agent) = ctl.asking_client().await?;
    let rows = match client.diff_config().await {
        Err(error) if error.is("ConfigInvalid") => {
            return reload::refused(ctl, &client, error, "compare with the files on disk").await;
        }
        other => other.doing("compare with the files on disk")?,
    };
    if ctl.global.json {
        let text = |t: &String| Some(t.clone()).filter(|t| !t.is_empty());
        let document: Vec<_> = rows
            .iter()
            .map(|(key, now, disk)| json!({"key": key, "in_force": text(now), "on_disk": text(disk)}))
            .collect();
        ctl.document(&document)?;
    } else {
        ctl.show(&listings::diff(&rows, &ctl.style(full)))?;
    }
    Ok(if rows.is_empty() { YES } else { NO })
}

//! `audit [verify]`: who asked for what, and whether the trail is whole.

use crate::ctl::args::{AuditArgs, AuditVerb};
use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::json;
use crate::ctl::render::{listings, units};
use reeve_core::Wall;
use serde_json::{Value, json};

/// Lists the newest entries, or proves the chain.
pub async fn run(ctl: &Ctl, a: &AuditArgs) -> Result<u8, Failure> {
    match a.verb {
        None => list(ctl, a).await,
        Some(AuditVerb::Verify) => verify(ctl).await,
    }
}

async fn list(ctl: &Ctl, a: &AuditArgs) -> Result<u8, Failure> {
    let (client, _agent) = ctl.asking_client().await?;
    let since = a.since.map_or(Wall(0), |span| {
        let usec = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Wall(ctl.style.now.0.saturating_sub(usec))
    });
    let entries = client.audit(since, a.max).await.doing("read the audit trail")?;
    if ctl.global.json {
        let document: Vec<_> = entries.iter().map(json::Audit::new).collect();
        ctl.document(&document)?;
    } else if entries.is_empty() {
        ctl.print("Nothing was asked for.\n")?;
    } else {
        ctl.show(&listings::audit(&entries, &ctl.style(a.full)))?;
    }
    Ok(YES)
}

/// A broken chain is the answer no, not a refusal.
async fn verify(ctl: &Ctl) -> Result<u8, Failure> {
    let (client, _agent) = ctl.asking_client().await?;
    let facts = match client.audit_verify().await {
        Err(error) if error.is("AuditBroken") => {
            if ctl.global.json {
                ctl.document(&document(false, &Value::Null, Some(error.to_string())))?;
            }
            return Err(Failure::No(format!("the audit trail is broken: {error}")));
        }
        other => other.doing("verify the audit trail")?,
    };
    if ctl.global.json {
        ctl.document(&document(true, &Value::Object(facts), None))?;
    } else {
        ctl.print(&listings::verified(&facts, &ctl.style))?;
    }
    Ok(YES)
}

fn document(whole: bool, facts: &Value, error: Option<String>) -> Value {
    let time = |name: &str| {
        let at = facts.get(name).and_then(Value::as_u64);
        at.filter(|t| *t > 0).map(|t| units::rfc3339(Wall(t)))
    };
    json!({
        "whole": whole,
        "entries": facts.get("entries"),
        "first": time("first"),
        "last": time("last"),
        "error": error,
    })
}

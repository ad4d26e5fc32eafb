//! `list`: the workers in a table.

use crate::bus::proxy::{CallError, Worker};
use crate::ctl::args::ListArgs;
use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::json;
use crate::ctl::render::listings;

/// Shows those asked for; a name that is none is refused, not passed over.
pub async fn run(ctl: &Ctl, a: &ListArgs) -> Result<u8, Failure> {
    let all = ctl.client().await?.workers().await.doing("list workers")?;
    if let Some(unknown) = a.workers.iter().find(|n| !all.iter().any(|w| w.name == **n)) {
        return Err(no_such_worker(unknown, &all)).doing("list workers");
    }
    let workers: Vec<Worker> = all.into_iter().filter(|w| wanted(w, a)).collect();
    if ctl.global.json {
        let document: Vec<_> = workers.iter().map(json::Worker::new).collect();
        ctl.document(&document)?;
    } else {
        ctl.show(&listings::workers(&workers, &ctl.style(a.full)))?;
    }
    Ok(YES)
}

fn wanted(w: &Worker, a: &ListArgs) -> bool {
    (a.workers.is_empty() || a.workers.contains(&w.name))
        && a.team.as_ref().is_none_or(|t| *t == w.team)
        && a.state.as_ref().is_none_or(|s| *s == w.state)
}

/// The daemon's own refusal, for a name that was looked up here; names the nearest.
pub fn no_such_worker(name: &str, all: &[Worker]) -> CallError {
    let nearest = all
        .iter()
        .map(|w| (distance(name, &w.name), &w.name))
        .min()
        .filter(|(far, _)| *far <= 1 + name.chars().count() / 3);
    let text = match nearest {
        Some((_, near)) => format!("no worker is named {name:?}; did you mean {near:?}?"),
        None => format!("no worker is named {name:?}"),
    };
    CallError::Refused { name: "NoSuchWorker".to_owned(), text }
}

/// Edits between two words, neighbouring letters swapped counting as two.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let swap = row.get(j).copied().unwrap_or(0) + usize::from(ca != *cb);
            let drop = row.get(j + 1).copied().unwrap_or(0) + 1;
            let add = next.last().copied().unwrap_or(0) + 1;
            next.push(swap.min(drop).min(add));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered() {
        let all = ["web", "task-executor"].map(|n| Worker { name: n.to_owned(), ..Worker::default() });
        let text = |n| no_such_worker(n, &all).to_string();
        assert_eq!(text("wbe"), "no worker is named \"wbe\"; did you mean \"web\"?");
        assert_eq!(text("task-exector"), "no worker is named \"task-exector\"; did you mean \"task-executor\"?");
        assert_eq!(text("database"), "no worker is named \"database\"");
    }
}

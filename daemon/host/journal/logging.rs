//! Diagnostics: what developers and curious operators read, by `tracing`. What an operator must see is a
//! [`Notice`](reeve_core::Notice) instead.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, reload};

/// Where diagnostics go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// To journald.
    Journal,
    /// To stderr: text on a terminal, JSON otherwise.
    Stderr,
}

type Change = dyn Fn(Targets) -> Result<(), reload::Error> + Send + Sync;

/// Changes the level while the daemon runs. Cheap to clone.
#[derive(Clone)]
pub struct LogLevel(Arc<Change>);

impl std::fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogLevel")
    }
}

impl LogLevel {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub fn set(&self, level: &str) -> Result<(), String> {
        self.0(targets(level)?).map_err(|e| format!("the log level cannot be changed: {e}"))
    }
}

/// Sets it up for the whole process; to be called once.
pub fn init(level: &str, output: Output) -> Result<LogLevel, String> {
    let (dispatch, handle) = build(level, output)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(|e| format!("diagnostics are set up already: {e}"))?;
    Ok(handle)
}

fn build(level: &str, output: Output) -> Result<(Dispatch, LogLevel), String> {
    let (filter, handle) = reload::Layer::new(targets(level)?);
    let level = LogLevel(Arc::new(move |targets| handle.reload(targets)));
    let subscriber = Registry::default().with(layer(output)?.with_filter(filter));
    Ok((Dispatch::new(subscriber), level))
}

fn layer<S>(output: Output) -> Result<Box<dyn Layer<S> + Send + Sync>, String>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Ok(match output {
        Output::Journal => tracing_journald::layer()
            .map_err(|e| format!("cannot reach journald: {e}"))?
            // Fields are named as they shall stand in the journal.
            .with_field_prefix(None)
            .with_syslog_identifier("reeved".to_owned())
            .with_priority_mappings(PriorityMappings {
                error: Priority::Error,
                warn: Priority::Warning,
                info: Priority::Informational,
                debug: Priority::Debug,
                trace: Priority::Debug,
            })
            .boxed(),
        Output::Stderr if io::stderr().is_terminal() => {
            tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false).boxed()
        }
        Output::Stderr => {
            tracing_subscriber::fmt::layer().json().flatten_event(true).with_ansi(false).with_writer(io::stderr).boxed()
        }
    })
}

/// Ours at the level asked for; libraries only when something is wrong, unless everything is asked for.
fn targets(level: &str) -> Result<Targets, String> {
    let ours = match level {
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => {
            return Err(format!("log level {level:?} is not one of error, warn, info, debug, trace"));
        }
    };
    let others = match ours {
        LevelFilter::ERROR => LevelFilter::ERROR,
        LevelFilter::TRACE => LevelFilter::DEBUG,
        _ => LevelFilter::WARN,
    };
    Ok(Targets::new().with_default(others).with_target("reeve", ours))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn the_level_can_be_changed_while_running() {
        let (dispatch, level) = build("info", Output::Stderr).unwrap();
        tracing::dispatcher::with_default(&dispatch, || {
            assert!(tracing::enabled!(target: "reeve::host", Level::INFO));
            assert!(!tracing::enabled!(target: "reeve::host", Level::DEBUG));
            assert!(!tracing::enabled!(target: "zbus", Level::INFO));
            level.set("debug").unwrap();
            assert!(tracing::enabled!(target: "reeve::bus", Level::DEBUG));
            assert!(!tracing::enabled!(target: "zbus", Level::INFO));
        });
        let error = level.set("loud").unwrap_err();
        assert!(error.starts_with("log level \"loud\" is not one of"), "{error}");
    }
}

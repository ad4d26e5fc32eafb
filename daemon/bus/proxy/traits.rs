//! The proxies of `org.reeve.Node1`, by the method table of the API. Every method may ask the user for a password.

use std::collections::HashMap;
use zbus::{OwnedFd, OwnedObjectPath, OwnedVariant, Variant};

/// The bus name.
pub(super) const NAME: &str = "org.reeve.Node1";

/// Keys and values of an open-ended reply.
pub(super) type More = HashMap<String, OwnedVariant>;
/// The last argument of every method.
pub(super) type Opt<'a> = HashMap<&'a str, Variant<'a>>;

pub(super) type WorkerRow = (String, OwnedObjectPath, String, u32, u32, String, u32, More);
pub(super) type RunRow = (String, u64, u64, String, bool, More);
pub(super) type EventRow = (u64, String, String, String, String, More);
pub(super) type MarkRow = (String, String, u32, u32, String, String);
pub(super) type SeriesRow = (String, std::collections::BTreeMap<String, String>, f64);
pub(super) type GpuRow = (u32, String, String, bool, More);
pub(super) type FleetNodeRow = (String, String, String, u64, More);
pub(super) type SlotRow = (String, String, String, String, u64, More);
pub(super) type PastRow = (u64, String, String, String);
pub(super) type AuditRow = (u64, u32, String, String, String, String, More);

#[zbus::proxy(
    interface = "org.reeve.Node1.Manager",
    default_service = "org.reeve.Node1",
    default_path = "/org/reeve/Node1"
)]
pub(super) trait Manager {
    #[zbus(allow_interactive_auth)]
    fn get_status(&self, opt: &Opt<'_>) -> zbus::Result<More>;
    #[zbus(allow_interactive_auth)]
    fn get_plan(&self, opt: &Opt<'_>) -> zbus::Result<Vec<(String, String, String)>>;
    #[zbus(allow_interactive_auth)]
    fn list_events(&self, since: u64, max: u32, opt: &Opt<'_>) -> zbus::Result<Vec<EventRow>>;
    #[zbus(allow_interactive_auth)]
    fn subscribe(&self, opt: &Opt<'_>) -> zbus::Result<()>;
    #[zbus(allow_interactive_auth)]
    fn check_config(&self, opt: &Opt<'_>) -> zbus::Result<Vec<MarkRow>>;
    #[zbus(allow_interactive_auth)]
    fn show_config(&self, opt: &Opt<'_>) -> zbus::Result<String>;
    #[zbus(allow_interactive_auth)]
    fn diff_config(&self, opt: &Opt<'_>) -> zbus::Result<Vec<(String, String, String)>>;
    #[zbus(allow_interactive_auth)]
    fn explain_config(&self, key: &str, opt: &Opt<'_>) -> zbus::Result<More>;
    #[zbus(allow_interactive_auth)]
    fn reload(&self, opt: &Opt<'_>) -> zbus::Result<u64>;
    #[zbus(allow_interactive_auth)]
    fn drain(&self, reason: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn undrain(&self, reason: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn uptime_usec(&self) -> zbus::Result<u64>;
    #[zbus(signal)]
    fn event(
        &self,
        time: u64,
        kind: String,
        target: String,
        reason: String,
        text: String,
        more: More,
    ) -> zbus::Result<()>;
}

#[zbus::proxy(
    interface = "org.reeve.Node1.Workers",
    default_service = "org.reeve.Node1",
    default_path = "/org/reeve/Node1"
)]
pub(super) trait Workers {
    #[zbus(allow_interactive_auth)]
    fn list_workers(&self, opt: &Opt<'_>) -> zbus::Result<Vec<WorkerRow>>;
    #[zbus(allow_interactive_auth)]
    fn start(&self, target: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn stop(&self, target: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn restart(&self, target: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn drain(&self, target: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn pause(&self, target: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn isolate(&self, target: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn resume(&self, target: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn reset(&self, target: &str, opt: &Opt<'_>) -> zbus::Result<()>;
    #[zbus(allow_interactive_auth)]
    fn scale(&self, worker: &str, replicas: u32, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn set(&self, worker: &str, values: &Opt<'_>, opt: &Opt<'_>) -> zbus::Result<String>;
    #[zbus(allow_interactive_auth)]
    fn stop_all(&self, reason: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn list_runs(&self, target: &str, opt: &Opt<'_>) -> zbus::Result<Vec<RunRow>>;
    #[zbus(allow_interactive_auth)]
    fn get_logs(&self, target: &str, opt: &Opt<'_>) -> zbus::Result<OwnedFd>;
    /// The same without asking anybody for a password: for a screen that shows log lines only beside other things.
    #[zbus(name = "GetLogs")]
    fn get_logs_unasked(&self, target: &str, opt: &Opt<'_>) -> zbus::Result<OwnedFd>;
}

#[zbus::proxy(interface = "org.reeve.Node1.TaskRun", default_service = "org.reeve.Node1", assume_defaults = false)]
pub(super) trait TaskRun {
    #[zbus(allow_interactive_auth)]
    fn get_report(&self, opt: &Opt<'_>) -> zbus::Result<String>;
    #[zbus(signal)]
    fn completed(&self, result: String, error_name: String, message: String) -> zbus::Result<()>;
}

#[zbus::proxy(
    interface = "org.reeve.Node1.Maintenance",
    default_service = "org.reeve.Node1",
    default_path = "/org/reeve/Node1"
)]
pub(super) trait Maintenance {
    #[zbus(allow_interactive_auth)]
    fn cancel(&self, id: &str, opt: &Opt<'_>) -> zbus::Result<()>;
}

#[zbus::proxy(
    interface = "org.reeve.Node1.Metrics",
    default_service = "org.reeve.Node1",
    default_path = "/org/reeve/Node1"
)]
pub(super) trait Metrics {
    #[zbus(allow_interactive_auth)]
    fn get_metrics(&self, filter: &[&str], opt: &Opt<'_>) -> zbus::Result<Vec<SeriesRow>>;
}

#[zbus::proxy(
    interface = "org.reeve.Node1.Gpus",
    default_service = "org.reeve.Node1",
    default_path = "/org/reeve/Node1"
)]
pub(super) trait Gpus {
    #[zbus(allow_interactive_auth)]
    fn list_gpus(&self, opt: &Opt<'_>) -> zbus::Result<(String, String, Vec<GpuRow>)>;
    #[zbus(allow_interactive_auth)]
    fn release_gpu(&self, reason: &str, opt: &Opt<'_>) -> zbus::Result<()>;
    #[zbus(allow_interactive_auth)]
    fn acquire_gpu(&self, opt: &Opt<'_>) -> zbus::Result<()>;
}

#[zbus::proxy(
    interface = "org.reeve.Node1.Audit",
    default_service = "org.reeve.Node1",
    default_path = "/org/reeve/Node1"
)]
pub(super) trait Audit {
    #[zbus(allow_interactive_auth)]
    fn query(&self, since: u64, max: u32, opt: &Opt<'_>) -> zbus::Result<Vec<AuditRow>>;
    #[zbus(allow_interactive_auth)]
    fn verify(&self, opt: &Opt<'_>) -> zbus::Result<More>;
}

#[zbus::proxy(
    interface = "org.reeve.Node1.Fleet",
    default_service = "org.reeve.Node1",
    default_path = "/org/reeve/Node1/fleet"
)]
pub(super) trait Fleet {
    #[zbus(allow_interactive_auth)]
    fn get_status(&self, opt: &Opt<'_>) -> zbus::Result<More>;
    #[zbus(allow_interactive_auth)]
    fn broker_config(&self, opt: &Opt<'_>) -> zbus::Result<String>;
    #[zbus(allow_interactive_auth)]
    fn list_nodes(&self, opt: &Opt<'_>) -> zbus::Result<Vec<FleetNodeRow>>;
    #[zbus(allow_interactive_auth)]
    fn list_slots(&self, opt: &Opt<'_>) -> zbus::Result<Vec<SlotRow>>;
    #[zbus(allow_interactive_auth)]
    fn why(&self, subject: &str, opt: &Opt<'_>) -> zbus::Result<Vec<PastRow>>;
    #[zbus(allow_interactive_auth)]
    fn ask(&self, kind: &str, reason: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn release(&self, slot: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn r#break(&self, slot: &str, reason: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn freeze(&self, reason: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn unfreeze(&self, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn handover(&self, node: &str, reason: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn promote(&self, reason: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn demote(&self, node: &str, reason: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn rejoin(&self, reason: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
    #[zbus(allow_interactive_auth)]
    fn recover(&self, reason: &str, opt: &Opt<'_>) -> zbus::Result<OwnedObjectPath>;
}

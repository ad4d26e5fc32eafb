//! What each method does. Nothing is kept here: every answer comes from the snapshot or from the loop.

mod audit;
mod config;
pub(super) mod fleet;
mod gpus;
mod manager;
mod metrics;
pub(super) mod properties;
mod task_runs;
mod workers;

use super::call::{Call, exported};
use super::error::Error;
use super::names::Object;
use super::table::Verb;
use super::wire::PathRef;
use crate::app::handle::Request;
use reeve_core::{Accepted, Command};
use zbus::Message;

/// Carries out a call that is authorised.
pub(super) async fn act(call: &mut Call<'_>) -> Result<Message, Error> {
    match call.method.verb {
        Verb::Ping => manager::ping(call),
        Verb::Can => manager::can(call).await,
        Verb::GetStatus => manager::get_status(call),
        Verb::GetPlan => manager::get_plan(call).await,
        Verb::ListEvents => manager::list_events(call).await,
        Verb::Subscribe => manager::subscribe(call),
        Verb::Unsubscribe => manager::unsubscribe(call),
        Verb::Hold => manager::hold(call).await,
        Verb::SetLogLevel => manager::set_log_level(call).await,
        Verb::Reboot => Err(Error::not_supported(
            "Reboot needs maintenance slots, which this version does not have; drain the node and use systemctl reboot",
        )),
        Verb::CheckConfig => config::check(call).await,
        Verb::ShowConfig => config::show(call).await,
        Verb::DiffConfig => config::diff(call).await,
        Verb::ExplainConfig => config::explain(call).await,
        Verb::Reload => config::reload(call).await,
        Verb::NodeDrain if call.reason.is_none() => {
            Err(Error::argument("reason: expected a text that says why the node is drained"))
        }
        Verb::NodeDrain => task_run(call, Command::NodeDrain).await,
        Verb::NodeUndrain => task_run(call, Command::NodeUndrain).await,
        Verb::Cordon => at_once(call, Command::Cordon).await,
        Verb::Uncordon => at_once(call, Command::Uncordon).await,
        Verb::ListWorkers => workers::list(call),
        Verb::GetWorker => workers::get(call),
        Verb::Start => targeted(call, Command::Start).await,
        Verb::Stop => targeted(call, Command::Stop).await,
        Verb::Restart => {
            let rolling = call.args.options.flag("rolling");
            targeted(call, |target| Command::Restart { target, rolling }).await
        }
        Verb::Drain => targeted(call, Command::Drain).await,
        Verb::Pause => targeted(call, Command::Pause).await,
        Verb::Isolate => targeted(call, Command::Isolate).await,
        Verb::Resume => targeted(call, Command::Resume).await,
        Verb::Reset => {
            let target = call.target()?;
            at_once(call, Command::Reset(target)).await
        }
        Verb::Kill => workers::kill(call).await,
        Verb::Scale => workers::scale(call).await,
        Verb::Set => workers::set(call).await,
        Verb::StartTeam => workers::team(call, Command::StartTeam).await,
        Verb::StopTeam => workers::team(call, Command::StopTeam).await,
        Verb::RestartTeam => workers::team(call, Command::RestartTeam).await,
        Verb::DrainTeam => workers::team(call, Command::DrainTeam).await,
        Verb::StopAll => task_run(call, Command::StopAll).await,
        Verb::ListRuns => workers::list_runs(call).await,
        Verb::GetLogs => workers::get_logs(call).await,
        Verb::GetLease => Err(Error::not_supported("no lease: this version does not place workers by the fleet")),
        Verb::ListGpus => gpus::list(call),
        Verb::ReleaseGpu if call.reason.is_none() => {
            Err(Error::argument("reason: expected a text that says why NVML is released"))
        }
        Verb::ReleaseGpu => at_once(call, Command::GpuRelease).await,
        Verb::AcquireGpu => at_once(call, Command::GpuAcquire).await,
        Verb::ListTaskRuns => task_runs::list(call),
        Verb::Cancel => task_runs::cancel(call).await,
        Verb::GetReport => task_runs::report(call),
        Verb::GetMetrics => metrics::get(call),
        Verb::AuditQuery => audit::query(call),
        Verb::AuditVerify => audit::verify(call),
        Verb::FleetStatus => fleet::status(call),
        Verb::BrokerConfig => fleet::broker_config(call),
        Verb::ListNodes => fleet::nodes(call),
        Verb::ListSlots => fleet::slots(call),
        Verb::Why => fleet::past::why(call),
        Verb::Ask
        | Verb::Release
        | Verb::Break
        | Verb::Freeze
        | Verb::Unfreeze
        | Verb::Handover
        | Verb::Promote
        | Verb::Demote
        | Verb::Rejoin
        | Verb::Recover => {
            let asked = fleet::commands::read(call)?;
            task_run(call, Command::Fleet(asked)).await
        }
    }
}

/// Puts a command to the loop.
pub(super) async fn command(call: &Call<'_>, command: Command) -> Result<Accepted, Error> {
    let caller = call.caller();
    Ok(call.handle().ask(|back| Request::Command(command, caller, back)).await??)
}

/// A command that is done when it is answered.
async fn at_once(call: &mut Call<'_>, asked: Command) -> Result<Message, Error> {
    if let Accepted::Operation(id) = command(call, asked).await? {
        call.started = Some(id);
    }
    call.reply(&())
}

/// A command that goes on: the reply names its task run, which can be looked at by then. `/` when there is none.
async fn task_run(call: &mut Call<'_>, asked: Command) -> Result<Message, Error> {
    let path = match command(call, asked).await? {
        Accepted::Operation(id) => {
            call.started = Some(id);
            exported(call.handle(), id).await;
            call.limit(id);
            Object::TaskRun(id).path()
        }
        Accepted::Done | Accepted::Applied | Accepted::NeedsRestart => "/".to_owned(),
    };
    call.reply(&(PathRef(&path),))
}

async fn targeted(call: &mut Call<'_>, make: impl FnOnce(reeve_core::Target) -> Command) -> Result<Message, Error> {
    let target = call.target()?;
    task_run(call, make(target)).await
}

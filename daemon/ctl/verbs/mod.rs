//! One file per verb, or per small group of them. Each takes its arguments and gives an exit code.

mod audit;
mod config;
mod events;
mod fleet;
mod gpu;
mod lifecycle;
mod list;
mod logs;
mod metrics;
mod node;
mod plan;
mod reload;
mod runs;
mod scale;
mod set;
mod status;
mod top;

use super::args::Verb;
use super::context::Ctl;
use super::failure::Failure;

/// Carries out a verb.
pub async fn run(ctl: &Ctl, verb: &Verb) -> Result<u8, Failure> {
    match verb {
        Verb::Status(args) => status::run(ctl, args).await,
        Verb::List(args) => list::run(ctl, args).await,
        Verb::Start(args) => lifecycle::start(ctl, args).await,
        Verb::Stop(args) => lifecycle::stop(ctl, args).await,
        Verb::Restart(args) => lifecycle::restart(ctl, args).await,
        Verb::Pause(args) => lifecycle::pause(ctl, args).await,
        Verb::Resume(args) => lifecycle::resume(ctl, args).await,
        Verb::Isolate(args) => lifecycle::isolate(ctl, args).await,
        Verb::Drain(args) => lifecycle::drain(ctl, args).await,
        Verb::Reset(args) => lifecycle::reset(ctl, args).await,
        Verb::Scale(args) => scale::run(ctl, args).await,
        Verb::Set(args) => set::run(ctl, args).await,
        Verb::Runs(args) => runs::run(ctl, args).await,
        Verb::Logs(args) => logs::run(ctl, args).await,
        Verb::Events(args) => events::run(ctl, args).await,
        Verb::Top(args) => top::run(ctl, args).await,
        Verb::Metrics(args) => metrics::run(ctl, args).await,
        Verb::Plan(args) => plan::run(ctl, args).await,
        Verb::Reload(args) => reload::run(ctl, args).await,
        Verb::Config(args) => config::run(ctl, &args.verb).await,
        Verb::Node(args) => node::run(ctl, &args.verb).await,
        Verb::Gpu(args) => gpu::run(ctl, &args.verb).await,
        Verb::Fleet(args) => fleet::run(ctl, &args.verb).await,
        Verb::Audit(args) => audit::run(ctl, args).await,
    }
}

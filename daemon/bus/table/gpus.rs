//! `org.reeve.Node1.Gpus`.

use super::{Access, Emits, Interface, OPT, Verb, arg, method, property};
use crate::bus::action::Action;

const CONTROL: Access = Access::Action(Action::GpuControl);
const ERRORS: &[&str] = &["InvalidState"];

pub(super) const GPUS: Interface = Interface {
    name: "Gpus",
    doc: "Cards, and our hold on NVML.",
    methods: &[
        method(
            "ListGpus",
            Verb::ListGpus,
            Access::Action(Action::ReadGpus),
            &[OPT],
            &[arg("nvml", "s"), arg("reason", "s"), arg("gpus", "a(ussba{sv})")],
            "What NVML is to us and why, then each card: index, UUID, health, whether work is given to it, more. Numbers\n\
            move, a UUID is the identity.",
        ),
        method(
            "ReleaseGpu",
            Verb::ReleaseGpu,
            CONTROL,
            &[arg("reason", "s"), OPT],
            &[],
            "Lets go of NVML, so that cards can be reset and the driver replaced; kept over restarts. Answered when it\n\
            is done. Nothing is measured on cards and no worker is started on one until AcquireGpu.",
        )
        .errors(ERRORS),
        method(
            "AcquireGpu",
            Verb::AcquireGpu,
            CONTROL,
            &[OPT],
            &[],
            "Gets hold of NVML again. Unavailable when the first try fails; it is tried again by itself.",
        )
        .errors(ERRORS),
    ],
    properties: &[
        property("GpuCount", "u", Emits::True, "Cards, lost ones included."),
        property("GpuHealth", "s", Emits::True, "ok, or the cards that are not, with the reason."),
        property("NvmlState", "s", Emits::True, "held, released, unavailable, off or unknown."),
    ],
    signals: &[],
};

//! How cards reach each other: asked once per hold, for those who place workers (SUP-05).

use super::calls::Fault;
use super::card::Open;
use super::links::MOST_LINKS;
use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TopologyLevel;
use reeve_core::gpu::Way;

/// Looks at each pair. What a card does not tell is left out.
pub(super) fn look(nvml: &Nvml, cards: &mut [Open<'_>]) -> Result<(), Fault> {
    let all: Vec<_> = cards.iter().map(|c| (c.known.index, c.known.uuid.clone(), c.known.bus_id.clone())).collect();
    for card in cards {
        let own = card.known.index;
        for (index, uuid, _) in all.iter().filter(|(index, _, _)| *index != own) {
            let other = || nvml.device_by_index(*index);
            let level = card
                .ask("nvmlDeviceGetTopologyCommonAncestor", |d| other().and_then(|o| d.topology_common_ancestor(o)))?;
            if let Some(level) = level {
                card.known.ways.insert(uuid.clone(), way(&level));
            }
        }
        // The first link that is not there, or leads nowhere we may know of, ends the list.
        for link in 0..MOST_LINKS {
            let remote = card.ask_of("nvmlDeviceGetNvLinkRemotePciInfo_v2", "ways", |d| {
                d.link_wrapper_for(link).remote_pci_info()
            })?;
            let Some(remote) = remote else { break };
            // At the other end of a link to a switch is the switch.
            if let Some((_, uuid, _)) = all.iter().find(|(_, _, bus)| bus.eq_ignore_ascii_case(&remote.bus_id)) {
                card.known.ways.insert(uuid.clone(), Way::Nvlink);
            }
        }
    }
    Ok(())
}

fn way(level: &TopologyLevel) -> Way {
    match level {
        TopologyLevel::Internal => Way::Board,
        TopologyLevel::Single => Way::Switch,
        TopologyLevel::Multiple => Way::Switches,
        TopologyLevel::HostBridge => Way::Bridge,
        TopologyLevel::Node => Way::Node,
        TopologyLevel::System => Way::System,
    }
}

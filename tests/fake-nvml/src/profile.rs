//! Cards to begin from. Figures are of the kind that such cards show when idle.

use std::collections::BTreeMap;

type Pairs = &'static [(&'static str, &'static str)];

const H200: Pairs = &[
    ("name", "NVIDIA H200"),
    ("memory.total", "150754820096"),
    ("memory.reserved", "632160256"),
    ("memory.used", "4194304"),
    ("memory.fb_used", "636354560"),
    ("bar1.total", "274877906944"),
    ("bar1.used", "2097152"),
    ("power", "76500"),
    ("power.instant", "77100"),
    ("power.limit", "700000"),
    ("energy", "81234567890"),
    ("temperature", "31"),
    ("temperature.memory", "38"),
    ("threshold.shutdown", "95"),
    ("threshold.slowdown", "92"),
    ("clock.sm", "345"),
    ("clock.memory", "3201"),
    ("clock.video", "540"),
    ("pstate", "0"),
    ("reasons", "1"),
    ("util", "0"),
    ("util.memory", "0"),
    ("util.encoder", "0"),
    ("util.decoder", "0"),
    ("ecc.corrected", "0"),
    ("ecc.uncorrected", "0"),
    ("rows.corrected", "0"),
    ("rows.uncorrected", "0"),
    ("rows.pending", "0"),
    ("rows.failure", "0"),
    ("recovery", "0"),
    ("pcie.generation", "5"),
    ("pcie.width", "16"),
    ("pcie.replay", "0"),
    ("pcie.tx", "1000"),
    ("pcie.rx", "2000"),
    ("nvlink.links", "18"),
    ("nvlink.tx", "3000"),
    ("nvlink.rx", "4000"),
    ("violation", "0"),
    ("mig.mode", "0"),
    ("mig.max", "7"),
    ("gpm", "1"),
    ("gpm.1", "12.5"),
    ("gpm.2", "25"),
    ("gpm.5", "50"),
    ("gpm.10", "75"),
    ("serial", "165302200000"),
    ("vbios", "96.00.A5.00.01"),
    ("persistence", "1"),
];

const A100: Pairs = &[
    ("name", "NVIDIA A100-SXM4-80GB"),
    ("memory.total", "85899345920"),
    ("memory.used", "0"),
    ("memory.reserved", "639500288"),
    ("power", "61200"),
    ("power.instant", "-"),
    ("power.limit", "400000"),
    ("clock.sm", "210"),
    ("clock.memory", "1593"),
    ("pcie.generation", "4"),
    ("pcie.tx", "-"),
    ("pcie.rx", "-"),
    ("nvlink.links", "12"),
    ("recovery", "-"),
    ("gpm", "0"),
];

const A100_SLICED: Pairs = &[
    ("mig.mode", "1"),
    ("util", "-"),
    ("util.memory", "-"),
    ("mig.0", "3g.40gb gi=2 ci=0 memory=42142269440 used=0"),
    ("mig.1", "1g.10gb gi=7 ci=0 memory=10468982784 used=0"),
    ("mig.2", "1g.10gb gi=8 ci=0 memory=10468982784 used=0"),
];

const CONSUMER: Pairs = &[
    ("name", "NVIDIA GeForce RTX 4090"),
    ("memory.total", "25757220864"),
    ("memory.used", "1073741824"),
    ("memory.reserved", "402653184"),
    ("bar1.total", "34359738368"),
    ("power", "21800"),
    ("power.limit", "450000"),
    ("temperature.memory", "-"),
    ("clock.memory", "405"),
    ("pstate", "8"),
    ("ecc.corrected", "-"),
    ("ecc.uncorrected", "-"),
    ("rows.corrected", "-"),
    ("rows.uncorrected", "-"),
    ("rows.pending", "-"),
    ("rows.failure", "-"),
    ("recovery", "-"),
    ("pcie.generation", "1"),
    ("nvlink.links", "0"),
    ("nvlink.tx", "-"),
    ("nvlink.rx", "-"),
    ("mig.mode", "-"),
    ("gpm", "0"),
    ("serial", "-"),
];

/// What concerns the host, and how many cards the profile has.
pub fn cards(profile: &str) -> (Pairs, usize) {
    match profile {
        "h200" => (&[("driver", "570.86.15"), ("nvml", "12.570.86.15"), ("cuda", "12080")], 8),
        "a100-mig" => (&[("driver", "535.161.08"), ("nvml", "12.535.161.08"), ("cuda", "12020")], 2),
        "consumer" => (&[("driver", "580.95.05"), ("nvml", "13.580.95.05"), ("cuda", "13000")], 1),
        _ => (&[("driver", "570.86.15"), ("nvml", "12.570.86.15"), ("cuda", "12080")], 0),
    }
}

/// A card of the profile that stands in `top`.
pub fn card(top: &BTreeMap<String, String>, number: usize) -> BTreeMap<String, String> {
    let over: &[Pairs] = match top.get("profile").map_or("", String::as_str) {
        "a100-mig" if number == 0 => &[A100, A100_SLICED],
        "a100-mig" => &[A100],
        "consumer" => &[CONSUMER],
        _ => &[],
    };
    let layers = std::iter::once(&H200).chain(over).copied().flatten();
    let mut values: BTreeMap<String, String> = layers.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    values.insert("uuid".into(), format!("GPU-5ee0f1c2-8a44-4f0e-9b1d-{number:012x}"));
    values.insert("minor".into(), number.to_string());
    values.insert("bus_id".into(), format!("00000000:{:02X}:00.0", 0x1b + 0x10 * number));
    values
}

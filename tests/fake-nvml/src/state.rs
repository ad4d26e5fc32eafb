//! The state file: read at each call, parsed when it has changed.

use crate::profile;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What the file says, laid over the profile it names.
#[derive(Debug, Default)]
pub struct State {
    top: BTreeMap<String, String>,
    /// Cards that can be seen, in the order of their indexes. Shared: each call of the library holds one.
    pub cards: Vec<Arc<Card>>,
}

/// One card.
#[derive(Debug, Clone, Default)]
pub struct Card {
    /// Number in the file; it names the card over its life.
    pub number: usize,
    values: BTreeMap<String, String>,
}

impl Card {
    /// The text of a key; `-` and a missing key both mean: not supported.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str).filter(|v| *v != "-")
    }

    /// A number.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }

    /// Everything below `prefix.`, with the rest of the key as a number, in its order.
    pub fn list(&self, prefix: &str) -> Vec<(u64, &str)> {
        let below = self.values.iter().filter_map(|(k, v)| {
            let rest = k.strip_prefix(prefix)?.strip_prefix('.')?;
            Some((rest.parse().ok()?, v.as_str()))
        });
        let mut all: Vec<_> = below.filter(|(_, v)| *v != "-").collect();
        all.sort_unstable();
        all
    }
}

impl State {
    /// A key that concerns no card.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.top.get(key).map(String::as_str)
    }

    fn parse(text: &str) -> Self {
        let mut top: BTreeMap<String, String> = BTreeMap::new();
        let mut own: Vec<(Option<usize>, String, String)> = Vec::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once('=') else { continue };
            let (key, value) = (key.trim(), value.trim().to_owned());
            match key.split_once('.') {
                Some(("*", rest)) => own.push((None, rest.to_owned(), value)),
                Some((number, rest)) if number.parse::<usize>().is_ok() => {
                    own.push((number.parse().ok(), rest.to_owned(), value));
                }
                _ => drop(top.insert(key.to_owned(), value)),
            }
        }
        let (defaults, count) = profile::cards(top.get("profile").map_or("none", String::as_str));
        for (key, value) in defaults {
            top.entry((*key).to_owned()).or_insert_with(|| (*value).to_owned());
        }
        let count = top.get("cards").and_then(|n| n.parse().ok()).unwrap_or(count);
        let mut cards: Vec<Card> = (0..count).map(|n| Card { number: n, values: profile::card(&top, n) }).collect();
        for (number, key, value) in own {
            for card in cards.iter_mut().filter(|c| number.is_none_or(|n| n == c.number)) {
                card.values.insert(key.clone(), value.clone());
            }
        }
        cards.retain(|card| card.text("state") != Some("gone"));
        Self { top, cards: cards.into_iter().map(Arc::new).collect() }
    }
}

static LAST: Mutex<Option<(String, Arc<State>)>> = Mutex::new(None);

/// Where the file is: as the environment says, else beside the library, with `.state` behind its name.
fn path() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("FAKE_NVML_STATE") {
        return Some(path.into());
    }
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `info` is a place for one Dl_info; the address is that of a static of this library.
    if unsafe { libc::dladdr((&raw const LAST).cast(), info.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: dladdr has filled it in; an all-zero Dl_info is valid too.
    let info = unsafe { info.assume_init() };
    if info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the loader's own name of this library, which ends in a zero and stays while the library is loaded.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(format!("{}.state", name.to_str().ok()?).into())
}

/// `FAKE_NVML_FIXED` is set: the file is read once, as a benchmark wants it, whose figures are not to hold what this
/// library costs by looking at a file for each call.
pub fn fixed() -> bool {
    static FIXED: OnceLock<bool> = OnceLock::new();
    *FIXED.get_or_init(|| std::env::var_os("FAKE_NVML_FIXED").is_some())
}

/// The state as the file says it now. Without a file: no driver.
pub fn now() -> Arc<State> {
    if fixed() {
        let known = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, state)) = &*known {
            return Arc::clone(state);
        }
    }
    let text =
        path().and_then(|p| std::fs::read_to_string(p).ok()).unwrap_or_else(|| "init = driver-not-loaded".into());
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some((same, state)) if *same == text => Arc::clone(state),
        _ => {
            let state = Arc::new(State::parse(&text));
            *last = Some((text, Arc::clone(&state)));
            state
        }
    }
}

//! Metrics: what the scrape endpoint tells, series by series.

use crate::bus::call::Call;
use crate::bus::error::Error;
use crate::export::View;
use reeve_core::metrics::Selection;
use std::collections::BTreeMap;
use zbus::Message;

pub(super) fn get(call: &mut Call<'_>) -> Result<Message, Error> {
    let wanted = Selection::of(call.args.texts()?);
    let rows: Vec<_> = View::new(call.handle().clone())
        .rows(&wanted)
        .into_iter()
        .map(|(name, labels, value)| (name, labels.into_iter().collect::<BTreeMap<_, _>>(), value))
        .collect();
    call.reply(&(rows,))
}

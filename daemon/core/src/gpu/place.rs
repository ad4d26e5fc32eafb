//! Which cards a replica gets (SUP-05).
//!
//! Whole cards, or MIG slices of one profile; never a part of either. What it had it keeps, while that is well and still
//! its own. Otherwise: cards of one NUMA node (the worker's own where it says so), as near to each other as there are
//! (NVLink before PCIe, see [`Way`]; where that is not known or the same, neighbours by number), of the node that they
//! fill best, and cards without strangers' processes first.

use super::books::Books;
use super::inventory::{Card, Hold, Way};
use crate::ids::ReplicaId;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What a worker asks for, per replica.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// At least so many.
    pub least: usize,
    /// At most so many, as far as they are free.
    pub most: usize,
    /// MIG slices of this profile; `None`: whole cards.
    pub profile: Option<String>,
    /// The CPU node the worker is bound to.
    pub near: Option<u32>,
}

/// Why it gets none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Not even with every card free and well.
    pub never: bool,
    /// For people.
    pub reason: String,
}

/// One thing that can be given away.
#[derive(Debug, Clone, Copy)]
struct Piece<'a> {
    card: &'a Card,
    uuid: &'a str,
}

/// Chooses for `me`, which was given `kept` before. `held` tells whether an owner still has a claim to what it was given.
pub fn choose(
    books: &Books,
    request: &Request,
    me: &ReplicaId,
    kept: &[String],
    held: impl Fn(&ReplicaId) -> bool,
) -> Result<Vec<String>, Refused> {
    if request.most == 0 {
        return Ok(Vec::new());
    }
    let inventory = books.inventory();
    let wait = |reason: String| Err(Refused { never: false, reason });
    match &inventory.hold {
        Hold::Held => {}
        Hold::Unknown => return wait("waits for the first look at the GPUs".into()),
        Hold::Released => {
            return wait("GPUs are released for maintenance (`reevectl gpu acquire` takes them back)".into());
        }
        Hold::Unavailable(why) => return wait(format!("no GPU can be given: {why}")),
        Hold::Off => {
            let reason = "it asks for GPUs, and they are turned off ([gpu] nvml)".into();
            return Err(Refused { never: true, reason });
        }
    }
    let all = pieces(&inventory.cards, request);
    let mut in_the_way: BTreeMap<String, usize> = BTreeMap::new();
    let free: Vec<Piece<'_>> = all
        .iter()
        .filter(|piece| match obstacle(books, piece, me, &held) {
            None => true,
            Some(why) => {
                *in_the_way.entry(why).or_default() += 1;
                false
            }
        })
        .copied()
        .collect();
    let still_mine: Vec<_> = kept.iter().filter(|uuid| free.iter().any(|p| p.uuid == **uuid)).collect();
    if still_mine.len() == kept.len() && (request.least..=request.most).contains(&kept.len()) && !kept.is_empty() {
        return Ok(kept.to_vec());
    }
    if free.len() < request.least {
        return Err(refuse(request, all.len(), free.len(), &in_the_way));
    }
    let count = request.most.min(free.len());
    Ok(pick(books, request, free, kept, count))
}

fn pieces<'a>(cards: &'a [Card], request: &Request) -> Vec<Piece<'a>> {
    let of = |card: &'a Card| match &request.profile {
        None if card.sliced => Vec::new(),
        None => vec![Piece { card, uuid: &card.uuid }],
        Some(profile) => {
            let slices = card.slices.iter().filter(|s| s.profile == *profile);
            slices.map(|slice| Piece { card, uuid: &slice.uuid }).collect()
        }
    };
    cards.iter().flat_map(of).collect()
}

/// Why this one cannot be had now.
fn obstacle(books: &Books, piece: &Piece<'_>, me: &ReplicaId, held: impl Fn(&ReplicaId) -> bool) -> Option<String> {
    if let Some(out) = books.out(&piece.card.uuid) {
        return Some(format!("{} is out: {}", piece.card.label(), out.reason));
    }
    if let Some(owner) = books.owner(piece.uuid).filter(|owner| *owner != me && held(owner)) {
        return Some(format!("held by {owner}"));
    }
    // A run that was adopted without a note of its cards, or that uses cards it was not given.
    let user = books.users(piece.card, piece.uuid).find(|user| *user != me);
    user.map(|user| format!("{} is in use by {user}", piece.card.label()))
}

fn refuse(request: &Request, all: usize, free: usize, in_the_way: &BTreeMap<String, usize>) -> Refused {
    let least = request.least;
    let several = if least == 1 { "" } else { "s" };
    let what = match &request.profile {
        None => format!("GPU{several}"),
        Some(profile) => format!("{profile} slice{several}"),
    };
    if all < least {
        let have = if all == 0 { "none".to_owned() } else { all.to_string() };
        return Refused { never: true, reason: format!("it asks for {least} {what}, and this node has {have}") };
    }
    let why: Vec<_> =
        in_the_way.iter().map(|(why, count)| if *count > 1 { format!("{count} {why}") } else { why.clone() }).collect();
    let reason = format!("waits for {least} {what}: {free} of {all} can be given; {}", why.join(", "));
    Refused { never: false, reason }
}

fn pick(books: &Books, request: &Request, free: Vec<Piece<'_>>, kept: &[String], count: usize) -> Vec<String> {
    let mut nodes: BTreeMap<Option<u32>, Vec<Piece<'_>>> = BTreeMap::new();
    for piece in free {
        nodes.entry(piece.card.numa_node).or_default().push(piece);
    }
    let mut order: Vec<_> = nodes.into_iter().collect();
    order.sort_by_key(|(node, pieces)| {
        let near = request.near.is_some() && *node == request.near;
        let fits = pieces.len() >= count;
        let had = pieces.iter().filter(|p| kept.iter().any(|k| k == p.uuid)).count();
        // The node that it fills best; of those too small, the largest.
        let spare = if fits { pieces.len() } else { usize::MAX - pieces.len() };
        (Reverse(near), Reverse(fits), Reverse(had), spare, *node)
    });
    let mut chosen = Vec::new();
    for (_, pieces) in order {
        let missing = count.saturating_sub(chosen.len());
        chosen.extend(beside(books, pieces, kept, missing));
    }
    chosen.sort_by_key(|piece| (piece.card.index, piece.uuid));
    chosen.into_iter().map(|piece| piece.uuid.to_owned()).collect()
}

/// Those of one node that are nearest to each other, without strangers as far as possible. Grown from each piece in
/// turn by what is nearest to those already there; the best of these need not be the best of all, but it is found soon with
/// a hundred slices too.
fn beside<'a>(books: &Books, mut pieces: Vec<Piece<'a>>, kept: &[String], count: usize) -> Vec<Piece<'a>> {
    pieces.sort_by_key(|p| (p.card.index, p.uuid));
    if pieces.len() <= count || count == 0 {
        pieces.truncate(count);
        return pieces;
    }
    let worse = |p: &Piece<'_>| usize::from(books.is_dirty(p.uuid)) + usize::from(books.has_strangers(p.card));
    let new = |p: &Piece<'_>| usize::from(!kept.iter().any(|k| k == p.uuid));
    let grown = pieces.iter().map(|seed| {
        let mut group = vec![*seed];
        while group.len() < count {
            let rest = pieces.iter().filter(|p| group.iter().all(|g| g.uuid != p.uuid));
            let next = rest.min_by_key(|p| {
                let (ways, steps) = distance(p, &group);
                (worse(p), new(p), ways, steps, p.card.index)
            });
            group.extend(next.copied());
        }
        group
    });
    let cost = |group: &Vec<Piece<'_>>| {
        let total = |of: &dyn Fn(&Piece<'_>) -> usize| group.iter().map(of).sum::<usize>();
        let apart = (0..group.len()).map(|n| distance(&group[n], &group[..n]));
        let (ways, steps) = apart.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (total(&worse), total(&new), ways, steps)
    };
    grown.min_by_key(cost).unwrap_or_default()
}

/// How far a piece is from all of these: over which ways, and by how many numbers.
fn distance(piece: &Piece<'_>, group: &[Piece<'_>]) -> (u32, u32) {
    let one = |other: &Piece<'_>| {
        let same = piece.card.uuid == other.card.uuid;
        let way = piece.card.ways.get(&other.card.uuid).copied().unwrap_or(Way::System);
        (if same { 0 } else { 1 + way as u32 }, piece.card.index.abs_diff(other.card.index))
    };
    group.iter().map(one).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

//! Which tensors go into which output file, and in which order.

use std::collections::BTreeMap;
use std::ops::Range;

use super::layout::{Effort, Item, best_path};
use super::share::Outline;
use super::{Alignment, Layout, SplitRules, split};
use crate::gguf::DEFAULT_ALIGNMENT;

/// Alignment of tensor data in relaxed files, in bytes: the grid that safetensors data lies on.
const RELAXED_ALIGNMENT: u64 = 8;

/// A file of its own costs a header and a name; below this many shared bytes it is not worth it.
const WORTH_A_FILE: u64 = 1 << 20;

/// `split.count` is a 16-bit number, and nobody wants more.
const MOST_FILES: usize = 1000;

/// Contents of one output file.
#[derive(Debug)]
pub struct Draft {
    /// Indices of tensors in file order.
    pub tensors: Vec<usize>,
    /// Of how many parts they are, all together.
    pub parts: usize,
    /// Phase its data section should start at, in bytes; none if nothing in it is shared.
    pub start_phase: Option<u64>,
    /// Alignment of its tensors, in bytes.
    pub alignment: u64,
    /// How many zeros there have to be between header and data; none if that does not matter.
    pub slack: Option<u64>,
}

impl Alignment {
    /// In bytes, of the files that `layout` makes.
    pub fn of(self, layout: Layout) -> u64 {
        match (layout, self) {
            (Layout::Split, Self::Relaxed) => RELAXED_ALIGNMENT,
            _ => DEFAULT_ALIGNMENT,
        }
    }
}

/// Distributes `tensors` (in the reference's order) over files that share in units of `block` bytes.
pub fn drafts(
    tensors: &[Outline],
    block: u64,
    layout: Layout,
    alignment: Alignment,
    rules: &SplitRules,
) -> Vec<Draft> {
    let alignment = alignment.of(layout);
    if layout == Layout::Split {
        return by_phase(tensors, block, alignment);
    }
    let mut effort = Effort::default();
    let by_rule = |group| arranged(tensors, group, block, alignment, &mut effort);
    split::groups(tensors.iter().map(|tensor| tensor.bytes), rules).into_iter().map(by_rule).collect()
}

/// One file of the tensors in `group`, in the order that shares most.
pub fn arranged(
    tensors: &[Outline],
    group: Range<usize>,
    block: u64,
    alignment: u64,
    effort: &mut Effort,
) -> Draft {
    let members = &tensors[group.clone()];
    let items: Vec<Item> = members.iter().map(|tensor| tensor.item).collect();
    let (tensors, start_phase) = match best_path(&items, block, effort) {
        Some(path) => {
            let start = path.start;
            (path.complete(items.len()).order.into_iter().map(|i| group.start + i).collect(), Some(start))
        }
        None => (group.collect(), None),
    };
    let parts = members.iter().map(|tensor| tensor.parts).sum();
    Draft { tensors, parts, start_phase, alignment, slack: None }
}

/// One file for the metadata and everything that is written anyway, then as many per source file as
/// it takes to give each tensor a place where it can be shared.
fn by_phase(tensors: &[Outline], block: u64, alignment: u64) -> Vec<Draft> {
    let mut homes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut shims = Vec::new();
    for (i, tensor) in tensors.iter().enumerate() {
        match tensor.home {
            Some(file) => homes.entry(file).or_default().push(i),
            None if tensor.item.advance != 0 => shims.push(i),
            None => {}
        }
    }
    let (mut files, mut effort) = (Vec::new(), Effort::default());
    let parts = |chosen: &[usize]| chosen.iter().map(|&i| tensors[i].parts).sum::<usize>();
    let mut placed = vec![false; tensors.len()];
    for mut home in homes.into_values() {
        while files.len() < MOST_FILES {
            // Shims are at hand in every file until one has used them.
            let mut pool: Vec<usize> = home.iter().chain(&shims).copied().filter(|&i| !placed[i]).collect();
            pool.sort_unstable();
            let pool_items: Vec<Item> = pool.iter().map(|&i| tensors[i].item).collect();
            let path = best_path(&pool_items, block, &mut effort);
            let Some(path) = path.filter(|p| p.gain >= WORTH_A_FILE) else { break };
            let order = path.shared_prefix(&pool_items, block);
            let chosen: Vec<usize> = order.iter().map(|&i| pool[i]).collect();
            chosen.iter().for_each(|&i| placed[i] = true);
            home.retain(|&i| !placed[i]);
            let (parts, start_phase) = (parts(&chosen), Some(path.start));
            files.push(Draft { tensors: chosen, parts, start_phase, alignment, slack: None });
        }
    }
    let rest: Vec<usize> = (0..tensors.len()).filter(|&i| !placed[i]).collect();
    let (parts, alignment) = (parts(&rest), DEFAULT_ALIGNMENT);
    files.insert(0, Draft { tensors: rest, parts, start_phase: None, alignment, slack: None });
    files
}

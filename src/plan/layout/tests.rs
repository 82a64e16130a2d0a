use super::*;

const BLOCK: u64 = 4096;

/// SplitMix64: the same instances on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Up to `most` items on a grid of `unit` bytes: few phases and sizes, so that they have to do with each other.
fn instance(random: &mut Random, unit: u64, most: u64) -> Vec<Item> {
    let grid = BLOCK / unit;
    // Everything random, or multiples of a coarser step, as real shapes have it.
    let step = random.pick(&[1, 4, grid / 8]);
    let mut some = |n| (0..n).map(|_| random.below(grid / step) * step * unit).collect::<Vec<_>>();
    let (phases, advances) = (some(4), some(3));
    let kinds = random.below(4);
    (0..1 + random.below(most))
        .map(|_| {
            let advance = if random.below(3) == 0 { 0 } else { random.pick(&advances) };
            let phase = random.pick(&phases);
            // Few gains among which to choose, or many.
            let gain = if kinds == 0 { 65536 } else { 4096 << random.below(10) | random.below(4096) };
            let want = (random.below(10) >= 3).then_some(Want { phase, gain });
            Item { advance, want }
        })
        .collect()
}

/// The most that any order can share from any start phase: an item is shared if the start phase is what
/// it wants less what lies before it, so of each order the start phase with most votes counts.
fn brute_force(items: &[Item]) -> u64 {
    fn extend(items: &[Item], used: u32, before: u64, votes: &mut Vec<(u64, u64)>) -> u64 {
        let mut best = 0;
        for (i, item) in items.iter().enumerate().filter(|(i, _)| used >> i & 1 == 0) {
            if let Some(want) = item.want {
                votes.push(((want.phase + BLOCK - before) % BLOCK, want.gain));
            }
            best = best.max(extend(items, used | 1 << i, (before + item.advance) % BLOCK, votes));
            if item.want.is_some() {
                votes.pop();
            }
        }
        if used.count_ones() as usize == items.len() {
            let of = |start: u64| votes.iter().filter(|v| v.0 == start).map(|v| v.1).sum::<u64>();
            best = best.max(votes.iter().map(|v| of(v.0)).max().unwrap_or(0));
        }
        best
    }
    extend(items, 0, 0, &mut Vec::new())
}

/// What `path` shares, counted by laying its items out. Panics if it is no order of (some) items.
fn laid_out(items: &[Item], path: &Path) -> u64 {
    let mut placed = vec![false; items.len()];
    let (mut phase, mut gain) = (path.start, 0);
    for &i in &path.order {
        assert!(!std::mem::replace(&mut placed[i], true), "item {i} is placed twice");
        gain += items[i].want.filter(|w| w.phase == phase).map_or(0, |w| w.gain);
        phase = (phase + items[i].advance) % BLOCK;
    }
    gain
}

/// Share of what can be shared, and of instances solved to the optimum.
#[derive(Default)]
struct Quality {
    got: u64,
    possible: u64,
    solved: u64,
    posed: u64,
}

impl Quality {
    fn add(&mut self, items: &[Item], best: u64, path: Option<Path>) {
        let gain = path.as_ref().map_or(0, |p| laid_out(items, p));
        assert_eq!(gain, path.map_or(0, |p| p.gain), "the path says what it shares: {items:?}");
        assert!(gain <= best, "{gain} of {best} bytes: {items:?}");
        // Instances without anything to share prove nothing.
        if best > 0 {
            self.got += gain;
            self.possible += best;
            self.posed += 1;
            self.solved += u64::from(gain == best);
        }
    }

    fn assert(&self, share: f64, solved: f64) {
        let got = (self.got as f64 / self.possible as f64, self.solved as f64 / self.posed as f64);
        assert!(
            self.posed >= 100 && got.0 >= share && got.1 >= solved,
            "{:.4} of the bytes, {:.4} of {} instances to the optimum",
            got.0,
            got.1,
            self.posed
        );
    }
}

fn instances(count: u64, most: u64) -> impl Iterator<Item = Vec<Item>> {
    let mut random = Random(1);
    (0..count).map(move |n| instance(&mut random, if n % 2 == 0 { 32 } else { 8 }, most))
}

#[test]
fn small_instances_are_solved() {
    let mut quality = Quality::default();
    for items in instances(400, 8) {
        quality.add(&items, brute_force(&items), best_path(&items, BLOCK, &mut Effort::default()));
    }
    quality.assert(1.0, 1.0);
}

/// Alone and with no more attempts than models of 100,000 tensors get.
#[test]
fn the_heuristic_alone_is_good() {
    for effort in [5_000, 50_000] {
        let mut quality = Quality::default();
        for items in instances(400, 8) {
            quality.add(&items, brute_force(&items), follow::follow(&items, BLOCK, &mut Effort(effort)));
        }
        quality.assert(0.99, 0.95);
    }
}

#[test]
fn the_heuristic_is_good_where_every_order_can_still_be_considered() {
    let mut quality = Quality::default();
    for items in instances(400, EXACT as u64).filter(|items| items.len() > 8) {
        let best = best_path(&items, BLOCK, &mut Effort::default()).map_or(0, |p| p.gain);
        quality.add(&items, best, follow::follow(&items, BLOCK, &mut Effort::default()));
    }
    quality.assert(0.95, 0.8);
}

/// `count` tensors that lie in a file one after another, so that taking them in that order shares all
/// of them; shuffled.
fn planted(random: &mut Random, count: usize, unit: u64) -> Vec<Item> {
    let mut phase = random.below(BLOCK / unit) * unit;
    let mut items: Vec<Item> = (0..count)
        .map(|_| {
            let advance = random.below(BLOCK / unit) * unit;
            let want = Some(Want { phase, gain: 65536 + (random.below(1 << 24) & !4095) });
            phase = (phase + advance) % BLOCK;
            Item { advance, want }
        })
        .collect();
    (1..items.len()).rev().for_each(|i| items.swap(i, random.below(i as u64 + 1) as usize));
    items
}

#[test]
fn tensors_of_any_size_that_lay_one_after_another_are_shared() {
    for (count, unit) in [20, 100, 1000, 10_000].into_iter().flat_map(|n| [(n, 32), (n, 8)]) {
        let items = planted(&mut Random(count as u64), count, unit);
        let total: u64 = items.iter().filter_map(|i| i.want).map(|w| w.gain).sum();
        let path = best_path(&items, BLOCK, &mut Effort::default()).unwrap();
        assert_eq!(laid_out(&items, &path), path.gain);
        let share = path.gain as f64 / total as f64;
        assert!(share >= 0.95, "{share:.4} of {count} tensors on a grid of {unit}");
    }
}

#[test]
fn order_is_kept_where_it_does_not_matter() {
    let same = Item { advance: 0, want: Some(Want { phase: 64, gain: 1 << 20 }) };
    let neutral = Item { advance: 0, want: None };
    for count in [10, 1000] {
        let items: Vec<Item> = (0..count).map(|i| if i % 3 == 1 { neutral } else { same }).collect();
        let path = best_path(&items, BLOCK, &mut Effort::default()).unwrap().complete(count);
        assert_eq!(path.start, 64);
        assert_eq!(path.order, (0..count).collect::<Vec<_>>());
    }
}

#[test]
fn equal_input_gives_equal_output() {
    let items = planted(&mut Random(5), 3000, 8);
    let once = || best_path(&items, BLOCK, &mut Effort::default());
    assert_eq!(once(), once());
}

/// What this thread has computed so far: other load on the machine proves nothing about a search.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()) {
        Some(ns) => ns / 1e9,
        None => std::time::UNIX_EPOCH.elapsed().map_or(0.0, |d| d.as_secs_f64()),
    }
}

/// Mixes of 100,000 tensors, the usual and the worst. Unoptimized code may take ten times as long.
#[test]
fn large_models_take_less_than_a_second() {
    const COUNT: usize = 100_000;
    type Make = fn(&mut Random, u64, u64) -> Item;
    fn size(random: &mut Random, block: u64, unit: u64) -> u64 {
        random.below(block / unit) * unit
    }
    fn wanting(advance: u64, phase: u64) -> Item {
        Item { advance, want: Some(Want { phase, gain: 1 << 20 | phase }) }
    }
    fn shim(advance: u64) -> Item {
        Item { advance, want: None }
    }
    let mixes: [(&str, Make); 7] = [
        ("one phase", |_, _, unit| wanting(0, unit)),
        ("all phases", |r, block, unit| wanting(0, size(r, block, unit))),
        ("all phases and shims", |r, block, unit| match r.below(4) {
            0 => shim(9 * unit),
            _ => wanting(0, size(r, block, unit)),
        }),
        ("sizes at random", |r, block, unit| wanting(size(r, block, unit), size(r, block, unit))),
        ("half of them shims", |r, block, unit| match r.below(2) {
            0 => shim(size(r, block, unit)),
            _ => wanting(size(r, block, unit), size(r, block, unit)),
        }),
        ("three sizes of shims", |r, block, unit| match r.below(2) {
            0 => shim(r.pick(&[7, 9, 20]) * unit),
            _ => wanting(size(r, block, unit), size(r, block, unit)),
        }),
        ("all leave one phase", |r, block, unit| wanting(size(r, block, unit), 0)),
    ];
    let limit = if cfg!(debug_assertions) { 10.0 } else { 1.0 };
    for (name, make) in mixes {
        for (block, unit) in [(4096, 32), (4096, 8), (65536, 32), (65536, 8)] {
            let mut random = Random(3);
            let items: Vec<Item> = (0..COUNT).map(|_| make(&mut random, block, unit)).collect();
            let start = cpu_seconds();
            let path = best_path(&items, block, &mut Effort::default());
            let took = cpu_seconds() - start;
            assert!(took < limit, "{name}, blocks of {block}, grid of {unit}: {took:.2} s");
            println!("{name}, {block}, {unit}: {took:.3} s, {} bytes", path.map_or(0, |p| p.gain));
        }
    }
}

//! The mean of 32-bit floats, added in the order in which torch adds them with AVX2 on one thread
//! (`vectorized_inner_sum` of `SumKernel.cpp`): in four sums of eight lanes, each in four levels, so that small numbers meet
//! small ones.

/// Vectors that are added side by side.
const SIDE_BY_SIDE: usize = 4;
const LEVELS: usize = 4;

/// A sum on its way, of numbers that come one after the other.
pub struct Mean {
    count: u64,
    lanes: u64,
    /// Rows of [`SIDE_BY_SIDE`] vectors, and after how many of them the lowest level is carried (a power of two).
    rows: u64,
    step: u64,
    at: u64,
    levels: [[[f32; 8]; SIDE_BY_SIDE]; LEVELS],
    /// What is left after the last whole vector.
    rest: f32,
}

impl Mean {
    /// The mean of `count` numbers to come.
    pub fn new(count: u64) -> Self {
        let lanes = if count < 8 { 1 } else { 8 };
        let rows = count / lanes / SIDE_BY_SIDE as u64;
        let log = rows.checked_next_power_of_two().map_or(u64::BITS, u64::trailing_zeros);
        let step = 1 << (log / LEVELS as u32).max(4);
        Self { count, lanes, rows, step, at: 0, levels: Default::default(), rest: 0.0 }
    }

    /// Takes the next numbers.
    pub fn add(&mut self, numbers: &[f32]) {
        let side_by_side = SIDE_BY_SIDE as u64;
        for number in numbers {
            let (vector, lane) = (self.at / self.lanes, (self.at % self.lanes) as usize);
            if vector < self.rows * side_by_side {
                self.levels[0][(vector % side_by_side) as usize][lane] += number;
                self.at += 1;
                if self.at.is_multiple_of(side_by_side * self.lanes) {
                    self.carry(self.at / self.lanes / side_by_side);
                }
                continue;
            }
            match vector < self.count / self.lanes {
                true => self.levels[0][0][lane] += number,
                false => self.rest += number,
            }
            self.at += 1;
        }
    }

    /// Goes on after so many whole rows.
    fn carry(&mut self, rows: u64) {
        if rows.is_multiple_of(self.step) {
            let power = self.step.trailing_zeros();
            for level in 1..LEVELS {
                self.lift(level, level - 1);
                if rows & ((self.step - 1) << (level as u32 * power)) != 0 {
                    break;
                }
            }
        }
        if rows == self.rows {
            (1..LEVELS).for_each(|level| self.lift(0, level));
        }
    }

    /// Adds a level to another, and empties it.
    fn lift(&mut self, to: usize, from: usize) {
        let taken = std::mem::take(&mut self.levels[from]);
        let pairs = self.levels[to].as_flattened_mut().iter_mut().zip(taken.as_flattened());
        pairs.for_each(|(sum, more)| *sum += more);
    }

    /// The mean.
    pub fn finish(self) -> f32 {
        let [first, others @ ..] = self.levels[0];
        let mut lanes = first;
        for other in others {
            lanes.iter_mut().zip(other).for_each(|(sum, more)| *sum += more);
        }
        let sum = lanes.iter().take(self.lanes as usize).fold(self.rest, |sum, lane| sum + lane);
        #[allow(clippy::cast_precision_loss, reason = "as torch divides")]
        let count = self.count as f32;
        sum / count
    }
}

#[cfg(test)]
mod tests {
    use super::Mean;

    /// Numbers of all magnitudes and signs (a linear congruential generator), and the bits of what torch 2.15 says their mean of
    /// magnitudes is: `torch.from_numpy(x).abs().mean()` with `ATEN_CPU_CAPABILITY=avx2` and one thread.
    const MEANS: [(usize, u32); 13] = [
        (1, 0x3c88596c),
        (3, 0x3dda64d8),
        (7, 0x3dff34c3),
        (8, 0x3e0bf30e),
        (31, 0x3e8832a5),
        (32, 0x3e84d2e6),
        (33, 0x3e81d9ef),
        (100, 0x3ed01903),
        (2_049, 0x3ec71f94),
        (6_144, 0x3ec14598),
        (32_769, 0x3ebf629a),
        (100_003, 0x3ebf8ddd),
        (600_000, 0x3ebf5406),
    ];

    fn numbers(count: usize) -> Vec<f32> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state
        };
        let number = |bits: u32| f32::from_bits(bits & 0x807f_ffff | (120 + (bits >> 23 & 7)) << 23);
        (0..count).map(|_| number(next())).collect()
    }

    #[test]
    fn means_are_those_of_torch() {
        for (count, expected) in MEANS {
            let numbers: Vec<f32> = numbers(count).into_iter().map(f32::abs).collect();
            for pieces in [count, 1 << 18, 1000, 7] {
                let mut mean = Mean::new(count as u64);
                numbers.chunks(pieces).for_each(|piece| mean.add(piece));
                assert_eq!(mean.finish().to_bits(), expected, "{count} in pieces of {pieces}");
            }
        }
    }
}

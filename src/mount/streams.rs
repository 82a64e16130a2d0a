//! Finds out who reads an output in order, from the ranges that are asked for.

use std::ops::Range;

use super::tiles::TILE;

/// Readers of one output that are told apart.
const MOST: usize = 8;

/// The kernel asks for pieces of what one reads in order at once, so they come in any order: bytes that they may be apart.
const SLACK: u64 = 4 << 20;

/// Requests that must have followed each other before anything is computed ahead of them.
const ENOUGH: u32 = 2;

/// The readers of an output.
#[derive(Debug, Default)]
pub struct Streams {
    /// The one that read last comes last.
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    /// End of the furthest range.
    end: u64,
    /// How many ranges followed each other.
    followed: u32,
    /// Tile before which nothing has to be computed ahead any more.
    ahead: u64,
}

impl Streams {
    /// Tells of a range that is read. Answers which tiles to compute ahead of its reader, at most `depth` tiles beyond it.
    pub fn observe(&mut self, range: &Range<u64>, depth: u64) -> Range<u64> {
        let near = |stream: &Stream| {
            range.start <= stream.end.saturating_add(SLACK) && range.start.saturating_add(SLACK) >= stream.end
        };
        let Some(index) = self.streams.iter().rposition(near) else {
            if self.streams.len() == MOST {
                self.streams.remove(0);
            }
            self.streams.push(Stream { end: range.end, followed: 0, ahead: 0 });
            return 0..0;
        };
        let mut stream = self.streams.remove(index);
        stream.followed =
            if range.end > stream.end { stream.followed.saturating_add(1) } else { stream.followed };
        stream.end = stream.end.max(range.end);
        let mut wanted = 0..0;
        if stream.followed >= ENOUGH {
            let next = stream.end.div_ceil(TILE);
            wanted = next.max(stream.ahead)..next + depth;
            stream.ahead = stream.ahead.max(wanted.end);
        }
        self.streams.push(stream);
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u64 = 128 << 10;

    fn observe(streams: &mut Streams, piece: u64) -> Range<u64> {
        streams.observe(&(piece * PIECE..(piece + 1) * PIECE), 2)
    }

    #[test]
    fn in_order_each_tile_is_wanted_once() {
        let mut streams = Streams::default();
        let wanted: Vec<u64> = (0..80).flat_map(|piece| observe(&mut streams, piece)).collect();
        assert_eq!(wanted, (1..12).collect::<Vec<_>>());
    }

    #[test]
    fn two_readers_are_told_apart() {
        let mut streams = Streams::default();
        let wanted: Vec<u64> =
            (0..16).flat_map(|piece| [piece, piece + 4000]).flat_map(|p| observe(&mut streams, p)).collect();
        assert_eq!(wanted.iter().filter(|tile| **tile < 100).count(), 3);
        assert_eq!(wanted.iter().filter(|tile| **tile >= 500).count(), 3);
    }

    #[test]
    fn who_jumps_is_no_reader_in_order() {
        let mut streams = Streams::default();
        assert!((0..1000).all(|n| observe(&mut streams, n * 7919 % 100_003).is_empty()));
    }
}

//! Deterministic mutations: the same inputs on every machine, so that a failing test fails again.

/// A xorshift generator; fast, and good enough to choose places.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Begins at a seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed | 1)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }
}

/// Bytes that parsers trip over.
const SPECIAL: &[u8] = b"\0\x01\x7f\x80\xff\xc3\xe2 \t\r\n'\"\\$;,.:()[]{}<>=+-*/%&|0129eE";

/// Longer than this no mutation grows an input.
const INPUT_BYTES_MAX: usize = 4096;

/// One of the seeds with up to four changes made to it.
pub fn mutate(seeds: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(4) {
        change(&mut bytes, seeds, chance);
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.below(bytes.len() + 1);
    let end = (at + 1 + chance.below(8)).min(bytes.len());
    match chance.below(7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
        1 if at < bytes.len() => bytes[at] = SPECIAL[chance.below(SPECIAL.len())],
        2 => bytes.insert(at, SPECIAL[chance.below(SPECIAL.len())]),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let again = bytes[at..end].repeat(1 + chance.below(20));
            bytes.splice(at..at, again);
        }
        5 => bytes.truncate(at),
        _ => {
            // A piece of another seed: keywords and numbers in places they do not belong.
            let other = &seeds[chance.below(seeds.len())];
            let from = chance.below(other.len() + 1);
            let to = (from + chance.below(24)).min(other.len());
            bytes.splice(at..end.max(at), other[from..to].iter().copied());
        }
    }
}

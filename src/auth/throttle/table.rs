//! Counts of a fixed size: a set-associative table that forgets the least when it is full.
//!
//! Whoever floods it with new keys fills it with counts of one, and those make room for each other: what
//! has counted more stays (`Entry::worth`). So nobody is taken for somebody else, and nobody gets out of
//! a count by making others; what is lost under a flood is a count of few.

/// Entries among which a key has its place.
const WAYS: usize = 8;

/// One key's count; zero is a free place.
#[derive(Clone, Copy, Default)]
struct Entry {
    key: u64,
    /// Seconds.
    began: u32,
    count: u32,
}

/// So many entries of 16 bytes, whatever comes.
pub struct Table {
    sets: Box<[[Entry; WAYS]]>,
}

/// How a key stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// What has been counted in its window.
    pub count: u32,
    /// When that window began, in seconds.
    pub began: u32,
}

impl Entry {
    fn is_live(&self, now: u32, window: u32) -> bool {
        self.count > 0 && now < self.began.saturating_add(window)
    }

    /// What is given up first: what no longer counts, then what has counted least, then the oldest.
    fn worth(&self, now: u32, window: u32) -> (bool, u32, u32) {
        (self.is_live(now, window), self.count, self.began)
    }
}

impl Table {
    /// An empty one for this many keys.
    ///
    /// # Panics
    /// If that is not a multiple of the ways of a set: our own mistake.
    pub fn new(entries: usize) -> Table {
        assert!(entries > 0 && entries.is_multiple_of(WAYS));
        Table {
            sets: vec![[Entry::default(); WAYS]; entries / WAYS].into_boxed_slice(),
        }
    }

    /// How many bytes it takes, now and always.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.sets)
    }

    /// How the key stands; `now` and `window` in seconds.
    pub fn get(&self, key: u64, now: u32, window: u32) -> Count {
        let set = &self.sets[self.set_of(key)];
        let found = set
            .iter()
            .find(|it| it.key == key && it.is_live(now, window));
        found.map_or(Count::default(), |it| Count {
            count: it.count,
            began: it.began,
        })
    }

    /// Counts one more. A window begins with its first and ends when it ends, whatever comes.
    pub fn add(&mut self, key: u64, now: u32, window: u32) {
        let entry = self.place(key, now, window);
        match entry.key == key && entry.is_live(now, window) {
            true => entry.count = entry.count.saturating_add(1),
            false => {
                *entry = Entry {
                    key,
                    began: now,
                    count: 1,
                }
            }
        }
    }

    /// Notes that the key has been seen: its window begins anew.
    pub fn touch(&mut self, key: u64, now: u32, window: u32) {
        *self.place(key, now, window) = Entry {
            key,
            began: now,
            count: 1,
        };
    }

    /// The key's own place, or the one that is worth least.
    fn place(&mut self, key: u64, now: u32, window: u32) -> &mut Entry {
        let set = self.set_of(key);
        let set = &mut self.sets[set];
        let own = set.iter().position(|it| it.count > 0 && it.key == key);
        let index = own.unwrap_or_else(|| {
            let least = (0..WAYS).min_by_key(|index| set[*index].worth(now, window));
            least.expect("a set has ways")
        });
        &mut set[index]
    }

    /// By the upper half of the key; its lower bits have chosen the shard.
    fn set_of(&self, key: u64) -> usize {
        let sets = self.sets.len() as u64;
        usize::try_from((key >> 32) % sets).expect("there are fewer sets than memory has bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u32 = 60;

    fn counted(table: &Table, key: u64, now: u32) -> u32 {
        table.get(key, now, WINDOW).count
    }

    #[test]
    fn a_window_begins_with_its_first_and_is_not_prolonged() {
        let mut table = Table::new(64);
        for now in [100, 130, 159] {
            table.add(7, now, WINDOW);
        }
        let standing = Count {
            count: 3,
            began: 100,
        };
        assert_eq!(table.get(7, 159, WINDOW), standing);
        assert_eq!(counted(&table, 7, 160), 0);
        table.add(7, 160, WINDOW);
        assert_eq!(table.get(7, 160, WINDOW).began, 160);
        assert_eq!(counted(&table, 8, 160), 0, "another key");
    }

    #[test]
    fn what_has_been_touched_again_lasts_from_then_on() {
        let mut table = Table::new(64);
        table.touch(7, 100, WINDOW);
        table.touch(7, 150, WINDOW);
        assert_eq!(counted(&table, 7, 209), 1);
        assert_eq!(counted(&table, 7, 210), 0);
    }

    #[test]
    fn a_flood_of_new_keys_takes_the_place_of_its_own_and_not_of_what_counts() {
        let mut table = Table::new(64);
        let bytes = table.bytes();
        for _ in 0..3 {
            table.add(u64::MAX, 10, WINDOW);
        }
        for key in 0..100_000_u64 {
            table.add(key << 32 | key, 11, WINDOW);
        }
        assert_eq!(counted(&table, u64::MAX, 12), 3);
        assert_eq!((table.bytes(), bytes), (64 * 16, 64 * 16));
    }

    #[test]
    fn what_no_longer_counts_is_given_up_first() {
        let mut table = Table::new(WAYS);
        for key in 0..WAYS as u64 {
            for _ in 0..5 {
                table.add(key, 0, WINDOW);
            }
        }
        table.add(100, 60, WINDOW);
        table.add(101, 61, WINDOW);
        assert_eq!(counted(&table, 100, 62), 1);
        assert_eq!(counted(&table, 101, 62), 1);
    }
}

//! How the objects of a snapshot are found where there may be millions of them.
//!
//! A core looks up any of them at any time, so that what is looked up finds a cold cache: what
//! counts is how many lines of memory a look-up touches, and what an object costs besides itself.

use super::ids::KeyId;
use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{GenericHashMap, OrdSet};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};

/// API keys by their ids, in half the time of a tree. Other ids are given in order: a tree of them is
/// dense, and such a map of them is not.
pub type ByKeyId<Key> = GenericHashMap<KeyId, Key, KeyIdHash, DefaultSharedPtr>;

/// A key's id is its own hash: it is random, and the server's choice.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyIdHash;

/// See [`KeyIdHash`].
#[derive(Debug, Default)]
pub struct KeyIdHasher(u64);

impl BuildHasher for KeyIdHash {
    type Hasher = KeyIdHasher;

    fn build_hasher(&self) -> KeyIdHasher {
        KeyIdHasher::default()
    }
}

impl Hasher for KeyIdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("the id of a key is one number");
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

/// The ids of objects, found by the hash of their names. Names are chosen by people, so the hash is
/// seeded; who looks one up compares the name that the object has.
#[derive(Clone, Debug)]
pub struct NameIndex<Id: Least> {
    seed: RandomState,
    entries: OrdSet<(u64, Id)>,
}

/// An id whose least value is known.
pub trait Least: Copy + Ord {
    /// No id is below it.
    const LEAST: Self;
}

impl<Id: Least> Default for NameIndex<Id> {
    fn default() -> Self {
        NameIndex {
            seed: RandomState::new(),
            entries: OrdSet::new(),
        }
    }
}

impl<Id: Least> NameIndex<Id> {
    /// The objects that may have this name: those that have it, and hardly ever another.
    pub fn candidates(&self, name: impl Hash) -> impl Iterator<Item = Id> {
        let hash = self.hash(name);
        self.entries
            .range((hash, Id::LEAST)..)
            .take_while(move |(found, _)| *found == hash)
            .map(|(_, id)| *id)
    }

    /// An object has this name now.
    pub fn insert(&mut self, name: impl Hash, id: Id) {
        self.entries.insert((self.hash(name), id));
    }

    /// An object has it no more.
    pub fn remove(&mut self, name: impl Hash, id: Id) {
        self.entries.remove(&(self.hash(name), id));
    }

    /// Under what an entry stands, for [`NameIndex::fill`].
    pub fn hash(&self, name: impl Hash) -> u64 {
        self.seed.hash_one(name)
    }

    /// Takes many entries at once; in their order they take a fraction of the time.
    pub fn fill(&mut self, mut entries: Vec<(u64, Id)>) {
        entries.sort_unstable();
        self.entries.extend(entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_all_that_may_have_it_and_to_nobody_else() {
        let [one, two] = [1, 2].map(|number| KeyId::new([number; 8]));
        let mut index = NameIndex::default();
        let before = index.clone();
        index.insert("a", two);
        index.insert("b", one);
        index.fill(vec![(index.hash("a"), one)]);
        assert_eq!(index.candidates("a").collect::<Vec<_>>(), [one, two]);
        assert_eq!(index.candidates("b").collect::<Vec<_>>(), [one]);
        assert_eq!(index.candidates("c").next(), None);
        assert_eq!(before.candidates("a").next(), None);
        index.remove("a", one);
        index.remove("b", two);
        assert_eq!(index.candidates("a").collect::<Vec<_>>(), [two]);
        assert_eq!(index.candidates("b").collect::<Vec<_>>(), [one]);
    }

    #[test]
    fn the_id_of_a_key_is_its_own_hash() {
        let id = KeyId::new([0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(KeyIdHash.hash_one(id), 0x0102);
    }
}

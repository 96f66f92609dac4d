//! Who are you: each method a state machine or a pure function over bytes, a snapshot and a clock.

pub mod identity;

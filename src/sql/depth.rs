//! The bound on a tree's depth, before anything recursive sees it (DESIGN §6).

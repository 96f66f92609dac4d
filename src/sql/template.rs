//! Statement templates: a text with its literals lifted out.

//! How the values of a portal's result are written: text or binary, by column.

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// As SQL's text.
    #[default]
    Text,
    /// As PostgreSQL's `typsend` writes it.
    Binary,
}

/// The result formats of a portal, kept with it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum ResultFormats {
    /// All text, as every simple query's.
    #[default]
    Text,
    /// All binary.
    Binary,
    /// One for each column.
    Each(Box<[Format]>),
}

impl ResultFormats {
    /// Of column number `index`.
    pub fn of(&self, index: usize) -> Format {
        match self {
            ResultFormats::Text => Format::Text,
            ResultFormats::Binary => Format::Binary,
            ResultFormats::Each(formats) => formats.get(index).copied().unwrap_or_default(),
        }
    }
}

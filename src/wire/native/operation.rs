//! What a request may ask for (REFERENCE §5).

/// An operation by its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// 01: who the client is.
    Auth,
    /// 02: whether anybody is there.
    Ping,
    /// 03: how the server is.
    Status,
    /// 20: statements, with parameters if there is one.
    Sql,
    /// 21: the same, by another name.
    Ddl,
    /// 22: the plan of a statement.
    Explain,
    /// 30: a setting's new value.
    Set,
    /// 31: a setting's value.
    Show,
    /// 32: a setting's default again.
    Reset,
    /// 40
    Begin,
    /// 41
    Commit,
    /// 42
    Rollback,
    /// Any other: operations of clients for kinds of data that are not kept here.
    Other(u8),
}

impl Operation {
    /// By its code.
    pub fn of(code: u8) -> Operation {
        match code {
            0x01 => Operation::Auth,
            0x02 => Operation::Ping,
            0x03 => Operation::Status,
            0x20 => Operation::Sql,
            0x21 => Operation::Ddl,
            0x22 => Operation::Explain,
            0x30 => Operation::Set,
            0x31 => Operation::Show,
            0x32 => Operation::Reset,
            0x40 => Operation::Begin,
            0x41 => Operation::Commit,
            0x42 => Operation::Rollback,
            other => Operation::Other(other),
        }
    }
}

//! What went wrong, as a client is told it: an SQLSTATE with PostgreSQL's error fields.
//!
//! Every boundary has an error enum of its own; each turns into a [`Diagnostic`] before it
//! reaches a protocol. The protocols only print it (pgwire's ErrorResponse and NoticeResponse,
//! HTTP's error body, the native error map).
//! Source: PostgreSQL 15, Appendix A (codes) and §55.8 "Error and Notice Message Fields".

use std::fmt;

/// A five-character SQLSTATE.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

macro_rules! sqlstates {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl SqlState {
            $($(#[$doc])* pub const $name: SqlState = SqlState::new($code);)*
        }
    };
}

impl SqlState {
    /// A code from its five characters; a code of another length does not compile in a constant.
    pub const fn new(code: &str) -> SqlState {
        let bytes = code.as_bytes();
        assert!(bytes.len() == 5, "an SQLSTATE has five characters");
        SqlState([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4]])
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("SQLSTATEs are ASCII")
    }

    /// The two-character class, for mappings that go by class.
    pub fn class(&self) -> &str {
        &self.as_str()[..2]
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

sqlstates! {
    /// successful_completion: the code of plain notices.
    SUCCESSFUL_COMPLETION = "00000";
    /// warning
    WARNING = "01000";
    /// connection_failure
    CONNECTION_FAILURE = "08006";
    /// protocol_violation
    PROTOCOL_VIOLATION = "08P01";
    /// feature_not_supported
    FEATURE_NOT_SUPPORTED = "0A000";
    /// cardinality_violation
    CARDINALITY_VIOLATION = "21000";
    /// string_data_right_truncation
    STRING_DATA_RIGHT_TRUNCATION = "22001";
    /// numeric_value_out_of_range
    NUMERIC_VALUE_OUT_OF_RANGE = "22003";
    /// null_value_not_allowed
    NULL_VALUE_NOT_ALLOWED = "22004";
    /// invalid_datetime_format
    INVALID_DATETIME_FORMAT = "22007";
    /// datetime_field_overflow
    DATETIME_FIELD_OVERFLOW = "22008";
    /// division_by_zero
    DIVISION_BY_ZERO = "22012";
    /// invalid_preceding_or_following_size
    INVALID_PRECEDING_OR_FOLLOWING_SIZE = "22013";
    /// character_not_in_repertoire
    CHARACTER_NOT_IN_REPERTOIRE = "22021";
    /// invalid_parameter_value
    INVALID_PARAMETER_VALUE = "22023";
    /// invalid_escape_sequence
    INVALID_ESCAPE_SEQUENCE = "22025";
    /// invalid_text_representation
    INVALID_TEXT_REPRESENTATION = "22P02";
    /// invalid_binary_representation
    INVALID_BINARY_REPRESENTATION = "22P03";
    /// bad_copy_file_format
    BAD_COPY_FILE_FORMAT = "22P04";
    /// integrity_constraint_violation
    INTEGRITY_CONSTRAINT_VIOLATION = "23000";
    /// not_null_violation
    NOT_NULL_VIOLATION = "23502";
    /// foreign_key_violation
    FOREIGN_KEY_VIOLATION = "23503";
    /// unique_violation
    UNIQUE_VIOLATION = "23505";
    /// check_violation
    CHECK_VIOLATION = "23514";
    /// active_sql_transaction
    ACTIVE_SQL_TRANSACTION = "25001";
    /// read_only_sql_transaction
    READ_ONLY_SQL_TRANSACTION = "25006";
    /// no_active_sql_transaction
    NO_ACTIVE_SQL_TRANSACTION = "25P01";
    /// in_failed_sql_transaction
    IN_FAILED_SQL_TRANSACTION = "25P02";
    /// idle_in_transaction_session_timeout
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT = "25P03";
    /// invalid_sql_statement_name: no such prepared statement.
    INVALID_SQL_STATEMENT_NAME = "26000";
    /// invalid_authorization_specification: any bad credential that is not a password.
    INVALID_AUTHORIZATION_SPECIFICATION = "28000";
    /// invalid_password
    INVALID_PASSWORD = "28P01";
    /// dependent_objects_still_exist
    DEPENDENT_OBJECTS_STILL_EXIST = "2BP01";
    /// invalid_cursor_name: no such portal.
    INVALID_CURSOR_NAME = "34000";
    /// invalid_savepoint_specification
    INVALID_SAVEPOINT_SPECIFICATION = "3B001";
    /// invalid_catalog_name: no such database.
    INVALID_CATALOG_NAME = "3D000";
    /// invalid_schema_name
    INVALID_SCHEMA_NAME = "3F000";
    /// serialization_failure
    SERIALIZATION_FAILURE = "40001";
    /// deadlock_detected
    DEADLOCK_DETECTED = "40P01";
    /// syntax_error
    SYNTAX_ERROR = "42601";
    /// insufficient_privilege
    INSUFFICIENT_PRIVILEGE = "42501";
    /// invalid_name: an empty or over-long name.
    INVALID_NAME = "42602";
    /// name_too_long
    NAME_TOO_LONG = "42622";
    /// duplicate_column
    DUPLICATE_COLUMN = "42701";
    /// ambiguous_column
    AMBIGUOUS_COLUMN = "42702";
    /// undefined_column
    UNDEFINED_COLUMN = "42703";
    /// undefined_object
    UNDEFINED_OBJECT = "42704";
    /// duplicate_object
    DUPLICATE_OBJECT = "42710";
    /// duplicate_alias
    DUPLICATE_ALIAS = "42712";
    /// grouping_error
    GROUPING_ERROR = "42803";
    /// datatype_mismatch
    DATATYPE_MISMATCH = "42804";
    /// wrong_object_type
    WRONG_OBJECT_TYPE = "42809";
    /// invalid_foreign_key
    INVALID_FOREIGN_KEY = "42830";
    /// cannot_coerce
    CANNOT_COERCE = "42846";
    /// undefined_function, and operators that do not exist.
    UNDEFINED_FUNCTION = "42883";
    /// undefined_table
    UNDEFINED_TABLE = "42P01";
    /// undefined_parameter
    UNDEFINED_PARAMETER = "42P02";
    /// duplicate_cursor: a portal of that name is open.
    DUPLICATE_CURSOR = "42P03";
    /// duplicate_database
    DUPLICATE_DATABASE = "42P04";
    /// duplicate_prepared_statement
    DUPLICATE_PREPARED_STATEMENT = "42P05";
    /// duplicate_schema
    DUPLICATE_SCHEMA = "42P06";
    /// duplicate_table
    DUPLICATE_TABLE = "42P07";
    /// invalid_column_reference
    INVALID_COLUMN_REFERENCE = "42P10";
    /// invalid_cursor_definition
    INVALID_CURSOR_DEFINITION = "42P11";
    /// invalid_table_definition
    INVALID_TABLE_DEFINITION = "42P16";
    /// windowing_error
    WINDOWING_ERROR = "42P20";
    /// indeterminate_datatype: a parameter whose type nothing determines.
    INDETERMINATE_DATATYPE = "42P18";
    /// invalid_recursion
    INVALID_RECURSION = "42P19";
    /// disk_full
    DISK_FULL = "53100";
    /// out_of_memory
    OUT_OF_MEMORY = "53200";
    /// too_many_connections
    TOO_MANY_CONNECTIONS = "53300";
    /// program_limit_exceeded
    PROGRAM_LIMIT_EXCEEDED = "54000";
    /// statement_too_complex
    STATEMENT_TOO_COMPLEX = "54001";
    /// object_not_in_prerequisite_state
    OBJECT_NOT_IN_PREREQUISITE_STATE = "55000";
    /// object_in_use
    OBJECT_IN_USE = "55006";
    /// cant_change_runtime_param
    CANT_CHANGE_RUNTIME_PARAM = "55P02";
    /// lock_not_available
    LOCK_NOT_AVAILABLE = "55P03";
    /// query_canceled: by the user, or by statement_timeout.
    QUERY_CANCELED = "57014";
    /// admin_shutdown: the session was ended by the server.
    ADMIN_SHUTDOWN = "57P01";
    /// cannot_connect_now
    CANNOT_CONNECT_NOW = "57P03";
    /// idle_session_timeout
    IDLE_SESSION_TIMEOUT = "57P05";
    /// io_error
    IO_ERROR = "58030";
    /// snapshot_too_old
    SNAPSHOT_TOO_OLD = "72000";
    /// internal_error: a mistake of ours.
    INTERNAL_ERROR = "XX000";
    /// data_corrupted
    DATA_CORRUPTED = "XX001";
}

/// How bad it is; decides which message type carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The session ends.
    Fatal,
    /// The statement went on; the client should look.
    Warning,
    /// The statement went on.
    Notice,
    /// Informational, sent on request.
    Info,
}

impl Severity {
    /// The word PostgreSQL sends in fields S and V.
    pub fn as_str(&self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
            Severity::Info => "INFO",
        }
    }
}

/// One error or notice with everything a client may show of it.
///
/// Boxed inside, so that a `Result<_, Diagnostic>` stays one word.
#[derive(Clone, PartialEq, Eq)]
pub struct Diagnostic(Box<Fields>);

/// The fields of a [`Diagnostic`], in PostgreSQL's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// S and V.
    pub severity: Severity,
    /// C
    pub sqlstate: SqlState,
    /// M: one sentence, no trailing stop.
    pub message: String,
    /// D
    pub detail: Option<String>,
    /// H: what to do about it.
    pub hint: Option<String>,
    /// P: 1-based, in characters of the statement text.
    pub position: Option<u32>,
    /// W: the context, such as the line of a COPY.
    pub context: Option<String>,
    /// s
    pub schema: Option<String>,
    /// t
    pub table: Option<String>,
    /// c
    pub column: Option<String>,
    /// d
    pub data_type: Option<String>,
    /// n
    pub constraint: Option<String>,
    /// When trying again may help, where that is known: HTTP's Retry-After. PostgreSQL has no field for
    /// it, and so the hint says it as well.
    pub retry_after_seconds: Option<u32>,
}

macro_rules! builders {
    ($($(#[$doc:meta])* $set:ident => $field:ident;)*) => {
        $($(#[$doc])* #[must_use]
        pub fn $set(mut self, text: impl Into<String>) -> Self {
            self.0.$field = Some(text.into());
            self
        })*
    };
}

impl Diagnostic {
    /// A diagnostic of any severity.
    pub fn new(severity: Severity, sqlstate: SqlState, message: impl Into<String>) -> Self {
        Diagnostic(Box::new(Fields {
            severity,
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
            schema: None,
            table: None,
            column: None,
            data_type: None,
            constraint: None,
            retry_after_seconds: None,
        }))
    }

    /// The statement failed.
    pub fn error(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, sqlstate, message)
    }

    /// The session ends with this.
    pub fn fatal(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self::new(Severity::Fatal, sqlstate, message)
    }

    /// The statement went on.
    pub fn notice(message: impl Into<String>) -> Self {
        Self::new(Severity::Notice, SqlState::SUCCESSFUL_COMPLETION, message)
    }

    /// The statement went on, but look.
    pub fn warning(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, sqlstate, message)
    }

    /// 0A000 that names the feature, as `"{feature} is not supported"`.
    pub fn unsupported(feature: impl fmt::Display) -> Self {
        Self::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{feature} is not supported"),
        )
    }

    /// XX000: a mistake of ours that is reported rather than a panic.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::error(SqlState::INTERNAL_ERROR, message)
    }

    builders! {
        /// Sets D.
        with_detail => detail;
        /// Sets H.
        with_hint => hint;
        /// Sets W.
        with_context => context;
        /// Sets s.
        with_schema => schema;
        /// Sets t.
        with_table => table;
        /// Sets c.
        with_column => column;
        /// Sets d.
        with_data_type => data_type;
        /// Sets n.
        with_constraint => constraint;
    }

    /// Without its place in the text.
    #[must_use]
    pub fn without_position(mut self) -> Diagnostic {
        self.0.position = None;
        self
    }

    /// Sets P, 1-based and in characters.
    #[must_use]
    pub fn with_position(mut self, position: u32) -> Self {
        self.0.position = Some(position);
        self
    }

    /// Sets when trying again may help.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// The same diagnostic with another severity, as when an error ends the session.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.0.severity = severity;
        self
    }

    /// All fields.
    pub fn fields(&self) -> &Fields {
        &self.0
    }

    /// The code.
    pub fn sqlstate(&self) -> SqlState {
        self.0.sqlstate
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Debug for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = &*self.0;
        write!(
            f,
            "{} {}: {}",
            fields.severity.as_str(),
            fields.sqlstate,
            fields.message
        )
    }
}

impl std::error::Error for Diagnostic {}

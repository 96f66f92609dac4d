//! PostgreSQL's dialect: text to sqlparser's syntax tree, errors with positions.

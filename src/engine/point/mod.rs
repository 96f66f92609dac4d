//! Point statements: compiled templates that run on the session core.

//! COPY in and out: text and CSV.

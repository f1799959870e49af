"""The database: one writer, contiguous watermarks, steps and cycles kept up to date, and queries that only read."""

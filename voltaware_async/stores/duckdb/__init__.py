"""DuckDB: a store in one file."""

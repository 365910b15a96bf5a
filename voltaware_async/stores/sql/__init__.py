"""SQL: a store's tables and questions, in the words that DuckDB and PostgreSQL share."""

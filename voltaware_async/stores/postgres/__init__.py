"""PostgreSQL: a store in a schema of a server."""

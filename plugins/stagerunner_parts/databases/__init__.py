"""Database files, SQLite and DuckDB, as the source `sql` and the stage `lookup` read them."""

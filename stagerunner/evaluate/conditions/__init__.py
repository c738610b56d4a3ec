"""`when`: which records a stage takes, said as an expression over the record."""

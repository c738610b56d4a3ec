"""The built-in sinks.

What they share. Of one file: `output` is the sink, `growing` its file, either a `replacing` or an `appending` one;
`owned` makes and removes the runner's own files, `descriptors` is for pipes and devices. Of many files: `partitions`,
`naming`, `many`, and `own_folder`, in which they are made. Of any: `targets` checks where an output goes, `places` puts
it there, `permissions` keeps mode and owner. `rendering` writes records as text and JSON, `tables` is for sinks with
columns, `rows` encodes for SQLite, `constraints` are what a table of DuckDB demands, and `pairs` of bytes make a body.
"""

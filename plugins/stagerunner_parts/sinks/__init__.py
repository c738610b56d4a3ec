"""The built-in sinks.

What they share: `output` writes files, `targets` checks where an output goes, `permissions` keeps mode and owner,
`rendering` writes records as text and JSON, `tables` is for sinks with columns, `rows` encodes for SQLite.
"""

"""The built-in sources.

What they share: `inputs` finds the files, `reading` reads files of records. `pieces` are the data of splits, and the
rules by which records end; `line_ends` finds a line's end without reading more than it needs. `locations` tells line
and byte of a record, `texts` checks encodings.
"""

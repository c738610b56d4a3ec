"""The built-in sources.

What they share: `reading` reads files of records, `inputs` finds the files, `cutting` finds where records end, `pieces`
are the data of splits, `locations` tells line and byte of a record, `texts` checks encodings.
"""

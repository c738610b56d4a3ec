"""The built-in sources.

`reading` is what those that read files of records share: `inputs` finds the files, `cutting` knows where records end,
`pieces` are what a split holds.
"""

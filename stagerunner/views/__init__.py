"""Everything that is drawn: progress, the closing summary, errors, the pages of commands."""

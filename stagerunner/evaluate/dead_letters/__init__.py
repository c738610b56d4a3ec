"""Dead letters: a failed record as a line of a file, and its way back into the chain."""

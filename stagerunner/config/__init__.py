"""Text → Config: YAML 1.2 with positions, the grammar, variables, and every mistake at once."""

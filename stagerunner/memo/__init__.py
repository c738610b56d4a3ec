"""Results of expensive stages, kept by content."""

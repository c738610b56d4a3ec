"""One stage applied to one batch. Nothing else calls a transform."""

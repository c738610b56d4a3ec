"""One run in the parent, whatever the engine."""

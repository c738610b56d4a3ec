"""What authors decorate: stages, sources and sinks, and the marker for hooks."""

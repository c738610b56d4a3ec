"""What the sources and sinks of Arrow batches have in common. Only they import it."""

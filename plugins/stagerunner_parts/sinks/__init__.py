"""The built-in sinks. `output` is what those that write files share, `rendering` what those that write lines share."""

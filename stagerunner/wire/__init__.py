"""What both ends of a pipe agree on."""

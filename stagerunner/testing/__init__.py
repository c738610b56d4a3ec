"""What plugins' own tests may use."""

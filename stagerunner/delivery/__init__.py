"""What comes back, in order, is counted, written and made to stay."""

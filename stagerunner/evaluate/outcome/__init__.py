"""What becomes of a batch: which record is in work, the results so far, how large they grow, where pieces end."""

"""`memo`: a record whose results are known is not computed, nor paid for, again."""

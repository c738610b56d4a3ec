"""The parent's decisions: what is sent, what is taken, what is sent again. Pure: no I/O, no clock."""

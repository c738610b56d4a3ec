"""What people and programs are shown of a run: while it runs, and at its end."""

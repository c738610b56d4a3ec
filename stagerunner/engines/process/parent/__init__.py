"""The process engine's side of the parent: workers, their pipes, how they fare."""

"""Engines move frames; every decision about them is taken elsewhere, the same for all engines."""

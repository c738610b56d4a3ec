"""A function is enough for a stage: `use: ./primes.py:if_prime` needs no decorator."""

from __future__ import annotations

from math import isqrt


def if_prime(number: int) -> int | None:
    """Keep prime numbers. `| None` says that None drops the record."""
    return None if any(number % divisor == 0 for divisor in range(2, isqrt(number) + 1)) else number

from __future__ import annotations

from stagerunner_parts.sinks.pairs import join, pairs_in

PAIRS = [(b"a", b"one"), (b"", b""), (b"b", bytes(range(256)))]


def test_a_body_gives_its_pairs_back_in_order_also_if_it_was_joined():
    for body in (join(PAIRS), b"".join(join([pair]) for pair in PAIRS), memoryview(join(PAIRS))):
        assert [(bytes(one), bytes(two)) for one, two in pairs_in(body)] == PAIRS

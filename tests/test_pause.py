"""How long a server that fails is left alone."""

from __future__ import annotations

from incidentos.memory.sync.pause import Breaker, Pauses


def test_pauses_grow_up_to_a_bound_and_differ() -> None:
    pauses = Pauses(first=1, most=8)
    for failures, most in ((0, 1), (1, 2), (2, 4), (3, 8), (9, 8), (10_000, 8)):
        drawn = {pauses.after(failures) for _ in range(20)}
        assert all(most / 2 <= one <= most for one in drawn)
        assert len(drawn) > 1


def test_a_breaker_rests_longer_with_each_failure_in_a_row_and_as_long_as_it_is_told() -> None:
    breaker = Breaker(Pauses(1, 8), clock=lambda: 0.0)
    assert (breaker.reason, breaker.rest) == (None, 0)
    rests = []
    for _ in range(3):
        breaker.fail("down")
        rests.append(breaker.rest)
    assert rests[0] <= 1 <= rests[1] <= 2 <= rests[2] <= 4
    breaker.fail("down", least=60)
    assert breaker.rest == 60
    breaker.succeed()
    assert (breaker.reason, breaker.rest) == (None, 0)

"""unionws.connections.budget: how much of a loop turn goes to what clients send."""

from __future__ import annotations

import time

from unionws.connections.budget import ACCEPTING, IN_PEACE, WHILE_DELIVERING, Budget, for_newcomers


class NoTime(Budget):
    """Spent from the begin of each turn on."""

    turns = 0

    def begin(self) -> None:
        self.turns += 1

    @property
    def spent(self) -> bool:
        return True


def spent_after(seconds: float, *, delivering: bool) -> bool:
    now = [100.0]
    budget = Budget(lambda: delivering, lambda: now[0])
    budget.begin()
    now[0] += seconds
    return budget.spent


def test_a_turn_has_its_time_and_no_more() -> None:
    """Less while clients are being delivered to."""
    assert not spent_after(0.9 * IN_PEACE, delivering=False)
    assert spent_after(1.1 * IN_PEACE, delivering=False)
    assert not spent_after(0.9 * WHILE_DELIVERING, delivering=True)
    assert spent_after(1.1 * WHILE_DELIVERING, delivering=True)


def test_the_next_turn_has_its_own() -> None:
    """What was spent before does not count."""
    now = [100.0]
    budget = Budget(now=lambda: now[0])
    budget.begin()
    now[0] += 2 * IN_PEACE
    budget.begin()
    assert not budget.spent


def test_the_door_counts_its_own_cpu_time() -> None:
    """While others have the core, nothing of it is spent; work of its own spends it."""
    budget = for_newcomers(lambda: True)
    budget.begin()
    time.sleep(3 * ACCEPTING)
    assert not budget.spent
    begun = time.thread_time()
    while time.thread_time() - begun < 1.5 * ACCEPTING:
        pass
    assert budget.spent

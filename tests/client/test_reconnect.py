"""When to connect again."""

from __future__ import annotations

from typing import Any

import pytest

from unionws.client.reconnect import Backoff, Ending, Reconnect
from unionws.errors import ClientError


def longest(low: float, high: float) -> float:
    """A draw that always takes the upper end."""
    return high


def shortest(low: float, high: float) -> float:
    """A draw that always takes the lower end."""
    return low


def reconnecting(draw: Any = longest) -> Reconnect:
    return Reconnect(Backoff(draw=draw))


def test_steps_double_from_a_quarter_second_to_thirty() -> None:
    """Full jitter: the upper end doubles up to the cap, the lower end is always 0."""
    up, down = reconnecting(longest), reconnecting(shortest)
    assert [up.delay(Ending(), 0.0) for _ in range(9)] == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [down.delay(Ending(), 0.0) for _ in range(9)] == [0.0] * 9


def test_attempts_without_end_stay_at_the_cap() -> None:
    """The step does not overflow however long a server is away."""
    reconnect = reconnecting()
    assert [reconnect.delay(Ending(), 0.0) for _ in range(2000)][-1] == 30


def test_only_a_connection_that_lasted_starts_over() -> None:
    """A server that greets and drops at once is backed off from all the same."""
    reconnect = reconnecting()
    for at in (0.0, 20.0, 40.0):
        reconnect.opened(at)
        last = reconnect.delay(Ending(1006), at + 1.0)
    assert last == 1.0
    reconnect.opened(60.0)
    assert reconnect.delay(Ending(1006), 70.0) == 0.25


@pytest.mark.parametrize("code", [4000, 4001, 4008, 4099])
def test_final_close_codes_stop_with_the_code_in_the_text(code: int) -> None:
    """4000-4099 are never followed by another attempt."""
    with pytest.raises(ClientError, match=f"{code} no key") as caught:
        reconnecting().delay(Ending(code, "no key"), 0.0)
    assert caught.value.close_code == code


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3999, 4100, 4103, 4199, 4200, 4201, 4300, None])
def test_other_close_codes_go_on(code: int | None) -> None:
    """Every other ending is followed by another attempt."""
    assert reconnecting().delay(Ending(code), 0.0) > 0


@pytest.mark.parametrize("code", [4100, 4103, 4199])
def test_overload_codes_wait_at_least_half_a_step(code: int) -> None:
    """4100-4199 back off even when the draw is low."""
    reconnect = reconnecting(shortest)
    assert [reconnect.delay(Ending(code), 0.0) for _ in range(3)] == [0.5, 1, 2]


def test_announced_window_is_used_once() -> None:
    """serverShutdown's window bounds the draw of the next attempt, not of those after it."""
    soon = reconnecting(shortest)
    soon.announced({"reason": "deploy", "reconnect": {"minMs": 200, "maxMs": 1500}})
    assert soon.delay(Ending(4200), 0.0) == 0.2
    later = reconnecting(longest)
    later.announced({"reconnect": {"minMs": 200, "maxMs": 1500}})
    assert [later.delay(Ending(4200), 0.0), later.delay(Ending(4200), 0.0)] == [1.5, 0.5]


def test_announcing_again_and_again_makes_no_hot_loop() -> None:
    """A window of 0 ms repeated without a lasting connection backs off like any failure."""
    reconnect = reconnecting()
    waits = []
    for at in range(5):
        reconnect.opened(float(at))
        reconnect.announced({"reconnect": {"minMs": 0, "maxMs": 0}})
        waits.append(reconnect.delay(Ending(4200), float(at)))
    assert waits == [0, 0.5, 1, 2, 4]


@pytest.mark.parametrize(
    "data",
    [None, [], {}, {"reconnect": 5}]
    + [
        {"reconnect": {"minMs": low, "maxMs": high}}
        for low, high in [("1", 2), (-1, 5), (9, 5), (True, True), (0, 10**9)]
    ]
    + [{"reconnect": {"maxMs": 5}}],
)
def test_windows_without_sense_are_not_used(data: Any) -> None:
    """A window of the wrong shape leaves the ordinary back-off."""
    reconnect = reconnecting()
    reconnect.announced(data)
    assert reconnect.delay(Ending(4200), 0.0) == 0.25


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
def test_final_http_statuses_stop(status: int) -> None:
    """A refusal that would be repeated is an error with the status."""
    with pytest.raises(ClientError, match=f"HTTP {status}") as caught:
        reconnecting().delay(Ending(status=status), 0.0)
    assert caught.value.status == status


def test_retry_after_comes_before_the_jitter() -> None:
    """429 and 503 wait at least as long as they ask for, up to an hour."""
    assert reconnecting(shortest).delay(Ending(status=503, retry_after=7.0), 0.0) == 7.0
    assert reconnecting(longest).delay(Ending(status=429, retry_after=7.0), 0.0) == 7.25
    assert reconnecting(shortest).delay(Ending(status=429, retry_after=1e9), 0.0) == 3600

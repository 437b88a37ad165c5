from __future__ import annotations

import asyncio

from tests.source.indexers import run, until
from unionws.settings import Settings
from unionws.source.chains import REFRESH_EVERY, ChainRefresher
from unionws.source.transport import Transport


def chain(name):
    return {
        "universal_chain_id": f"{name}.1",
        "chain_id": "1",
        "display_name": name,
        "testnet": False,
        "rpcs": [],
    }


def play(scene):
    """A scene with a refresher on a stand-in that answers the next of ``answers`` (the last for ever)."""
    answers = []
    told = []

    async def reply(handler, body):
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, int):
            handler.set_status(answer)
        else:
            handler.write({"data": {"v2_chains": answer}})

    async def with_refresher(indexer):
        transport = Transport(indexer.url)
        refresher = ChainRefresher(transport, Settings(), on_chains=told.append)
        try:
            await scene(refresher, answers, told)
        finally:
            await refresher.stop()
            transport.close()

    run(reply, with_refresher)


def names(chains):
    return [item.display_name for item in chains]


def test_the_list_is_loaded_at_the_start_and_then_every_five_minutes():
    """The wait after a success is the refresh interval."""

    async def scene(refresher, answers, told):
        answers.append([chain("b"), chain("a")])
        refresher.start()
        await until(lambda: told)
        assert names(told[0]) == ["a", "b"]
        assert await refresher.refresh() == REFRESH_EVERY == 300

    play(scene)


def test_the_list_is_told_only_when_it_has_changed():
    """Another order is no change."""

    async def scene(refresher, answers, told):
        answers[:] = [[chain("a"), chain("b")], [chain("b"), chain("a")], [chain("b")]]
        for _ in range(4):
            await refresher.refresh()
        assert [names(chains) for chains in told] == [["a", "b"], ["b"]]

    play(scene)


def test_a_failure_or_an_empty_list_keeps_the_old_one_and_is_tried_again_soon():
    """With the back-off of the poller, not after five minutes."""

    async def scene(refresher, answers, told):
        answers[:] = [[chain("a")], 500, [], None, [chain("a")]]
        await refresher.refresh()
        waits = [await refresher.refresh() for _ in range(3)]
        assert waits[0] <= 1 < waits[1] <= 2 < waits[2] <= 4
        assert names(refresher.chains) == ["a"]
        assert await refresher.refresh() == REFRESH_EVERY
        assert len(told) == 1
        assert refresher.stats()["failures"] == 3

    play(scene)


def test_a_start_without_the_indexer_is_repeated_until_it_answers():
    """The list comes late rather than never."""

    async def scene(refresher, answers, told):
        answers[:] = [503, [chain("a")]]
        refresher.start()
        await until(lambda: told)

    play(scene)


def test_who_cannot_take_the_list_does_not_stop_the_refresh(caplog):
    """It is logged."""

    async def scene(refresher, answers, told):
        answers.append([chain("a")])
        refresher._on_chains = lambda chains: 1 / 0
        assert await refresher.refresh() == REFRESH_EVERY

    play(scene)
    assert "the chain list was not taken" in caplog.text


def test_stop_before_start_and_twice_is_harmless():
    """Nothing is left behind."""

    async def scene(refresher, answers, told):
        await refresher.stop()
        answers.append([chain("a")])
        refresher.start()
        await asyncio.sleep(0)
        await refresher.stop()
        await refresher.stop()
        assert told == []

    play(scene)

"""Everything it answers is nonsense, once there is a file ``on`` beside it."""

from pathlib import Path

from unionws import ClientRequest, FilterField, Metric, Route, Statistic, hookimpl

ON = Path(__file__).with_name("on")


class Odd:
    """What nobody can use."""

    __hash__ = None


def odd(otherwise):
    return Odd() if ON.exists() else otherwise


class Count:
    def observe(self, batch, now):
        return odd(None)

    def snapshot(self, now):
        return {"figure": float("nan")} if ON.exists() else {}


@hookimpl
def register_statistics():
    return [Statistic("acme.count", Count())]


@hookimpl
def register_filters():
    def keys(_):
        return odd(["key"])

    return [FilterField("acme.odd", lambda value: odd(str(value)), lambda *_: odd(True), odd, keys, keys)]


@hookimpl
def register_requests():
    return [ClientRequest("acme.ask", "Help.", lambda context, message: context.reply("pong", odd(1)))]


@hookimpl
def register_routes():
    return [Route("/ext/acme/x", "Help.", lambda request: odd({}))]


@hookimpl
def register_metrics():
    return [Metric("acme_figure", "Help.", "gauge", lambda: odd(1))]


@hookimpl
def extend_transfers(transfers):
    return odd([None] * len(transfers))


@hookimpl
def urgent():
    return odd(())

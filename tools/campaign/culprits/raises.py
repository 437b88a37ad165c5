"""Everything in it raises, once there is a file ``on`` beside it."""

from pathlib import Path

from unionws import ClientRequest, FilterField, Metric, Route, ServerMessage, Statistic, hookimpl

ON = Path(__file__).with_name("on")


def broken(*_, **__):
    if ON.exists():
        raise RuntimeError("broken")


class Count:
    observe = staticmethod(broken)

    def snapshot(self, now):
        broken()
        return {}


@hookimpl
def register_messages():
    return [ServerMessage("acme.told", "Help.", "acme.told")]


@hookimpl
def register_statistics():
    return [Statistic("acme.count", Count())]


def parse(value):
    broken()
    return str(value)


def keys(_):
    broken()
    return ["key"]


def matches(*_):
    broken()
    return True


@hookimpl
def register_filters():
    return [FilterField("acme.odd", parse, matches, str, keys, keys)]


@hookimpl
def register_requests():
    return [ClientRequest("acme.ask", "Help.", broken)]


@hookimpl
def register_routes():
    return [Route("/ext/acme/x", "Help.", broken)]


@hookimpl
def register_metrics():
    return [Metric("acme_figure", "Help.", "gauge", broken)]


@hookimpl
def chains_listed():
    broken()


@hookimpl
def extend_transfers(transfers):
    broken()
    return [None] * len(transfers)


@hookimpl
def enriched():
    broken()


@hookimpl
def urgent():
    broken()
    return ()


@hookimpl
def published():
    broken()


@hookimpl
def client_opened():
    broken()


@hookimpl
def client_closed():
    broken()


@hookimpl
def fault():
    broken()

"""For the tests of plugins: a running server, an upstream that says what the test says, a client.

::

    from unionws.testing import running_server, transfer

    def test_my_plugin():
        with running_server(plugins=[my_plugin], settings={"ACME_LIMIT": 5}) as server:
            with server.client("acme.alerts") as client:
                server.upstream.send(transfer(amount="7"))
                assert client.receive("acme.alert")["data"]["amount"] == "7"
            assert server.healthy()

The server is the real one, with real sockets, in a thread of this process; state goes to a
temporary folder. With pytest, ``pytest_plugins = ["unionws.pytest_plugin"]`` in conftest.py gives
fixtures of the same names.
"""

from __future__ import annotations

from unionws.clock import ManualClock
from unionws.testing.server import Client, Server, running_server
from unionws.testing.upstream import Upstream, chain, transfer

__all__ = ["Client", "ManualClock", "Server", "Upstream", "chain", "running_server", "transfer"]

from __future__ import annotations

import pytest

from unionws import hookimpl
from unionws.cli import main
from unionws.pluginhost import PluginHost
from unionws.pluginlist import running
from unionws.settings import Settings
from unionws.testing import running_server, transfer


class Broken:
    @hookimpl
    def published(self) -> None:
        raise RuntimeError("broken")


def test_a_running_service_tells_how_its_plugins_do(capsys: pytest.CaptureFixture[str]) -> None:
    """State, counts and last error of each; a service with a token wants it."""
    with running_server([Broken()], {"ADMIN_TOKEN": "hush" * 8}) as server:
        with server.client("transfers") as client:
            for _ in range(5):
                server.upstream.send(transfer())
                client.receive("transfers")
        line = ""
        while "switched off" not in line:  # the figures go round once a second
            (line,) = [text for text in running(server.url, "hush" * 8) if "Broken" in text]
        assert line.split()[:2] == ["ingest", "Broken"]
        assert line.endswith("published: RuntimeError: broken")
        arguments = ["plugins", server.url, "--set", f"ADMIN_TOKEN={'hush' * 8}"]
        assert main(arguments) == 0
        assert "published: RuntimeError: broken" in capsys.readouterr().out
        assert main(["plugins", server.url]) == 1
        assert "gives no list of plugins: HTTP Error 401" in capsys.readouterr().err


def test_where_nobody_answers_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """With the address."""
    assert main(["plugins", "http://127.0.0.1:1"]) == 1
    assert "http://127.0.0.1:1/debug gives no list of plugins" in capsys.readouterr().err


def test_an_edge_tells_of_plugins_with_troubles_alone() -> None:
    """It reports once a second: those that do well are left out."""
    host = PluginHost(Settings(PLUGINS_DIR=""))

    class Well:
        @hookimpl
        def client_opened(self) -> None: ...

    host.load([], [("broken", Broken()), ("well", Well())])
    host.fire("client_opened", client=1, address="")
    assert host.troubles() == {}
    host.fire("published", record=None)
    (trouble,) = host.troubles().values()
    assert (trouble["failures"], trouble["last_error"]) == (1, "published: RuntimeError: broken")

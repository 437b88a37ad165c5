from __future__ import annotations

from pathlib import Path

import pytest

from unionws.errors import SettingsError
from unionws.settings import Settings, public_view
from unionws.settings_reading import load_settings, read_settings


def problems(file: Path | None = None, overrides: list[str] | None = None, **environ: str) -> list[str]:
    """What load_settings complains about."""
    with pytest.raises(SettingsError) as caught:
        load_settings(file, overrides or [], environ)
    return list(caught.value.problems)


def test_without_anything_given_all_settings_have_their_defaults() -> None:
    """No file, no environment, no --set gives the defaults of the table."""
    assert load_settings(None, [], {"PATH": "/bin"}) == Settings()


def test_precedence(tmp_path: Path) -> None:
    """--set beats UNIONWS_NAME, which beats the bare name, which beats the file."""
    file = tmp_path / "settings.py"
    file.write_text("PORT = 1\nHOST = 'file'\nPOLL_LIMIT = 50\n")
    environ = {"PORT": "2", "POLL_INTERVAL": "200"}
    assert load_settings(file, [], {}).PORT == 1
    assert load_settings(file, [], environ).PORT == 2
    environ["UNIONWS_PORT"] = "3"
    assert load_settings(file, [], environ).PORT == 3
    settings = load_settings(file, ["PORT=4", "PORT=5"], environ)
    assert (settings.PORT, settings.HOST, settings.POLL_LIMIT, settings.POLL_INTERVAL) == (5, "file", 50, 200)


def test_bare_names_are_only_the_four_documented_ones() -> None:
    """HOST or LOG_LEVEL without the prefix belong to somebody else."""
    settings = load_settings(
        None,
        [],
        {"HOST": "me", "MAINNET_ONLY": "Yes", "GRAPHQL_ENDPOINT": "http://x/g", "LOG_LEVEL": "silly"},
    )
    assert (settings.HOST, settings.MAINNET_ONLY, settings.GRAPHQL_ENDPOINT) == ("", True, "http://x/g")


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("MAINNET_ONLY=TRUE", "MAINNET_ONLY", True),
        ("MAINNET_ONLY=no", "MAINNET_ONLY", False),
        ("MAINNET_ONLY='1'", "MAINNET_ONLY", True),
        ("LAST_SORT_ORDER= a=b ", "LAST_SORT_ORDER", " a=b "),
        ('LAST_SORT_ORDER="quoted"', "LAST_SORT_ORDER", "quoted"),
        ("PORT='8081'", "PORT", 8081),
        ("OVERLAP_SECONDS=2.5", "OVERLAP_SECONDS", 2.5),
        ("PLUGINS=a, 'b' ,", "PLUGINS", ("a", "b")),
        ("PLUGINS=['a', \"b\"]", "PLUGINS", ("a", "b")),
        ("PLUGINS=", "PLUGINS", ()),
        ("EDGE_PROCESSES=AUTO", "EDGE_PROCESSES", "auto"),
        ("EDGE_PROCESSES=2", "EDGE_PROCESSES", 2),
        ("LOG_LEVEL=debug,source=info", "LOG_LEVEL", "debug,source=info"),
    ],
)
def test_text_is_read_by_the_settings_type(text: str, name: str, expected: object) -> None:
    """The same words mean the same in --set and in the environment."""
    assert getattr(load_settings(None, [text], {}), name) == expected
    variable, _, value = text.partition("=")
    assert getattr(load_settings(None, [], {f"UNIONWS_{variable}": value}), name) == expected


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("PORT=abc", "must be a whole number from 0 to 65535"),
        ("PORT=", "must be a whole number from 0 to 65535"),
        ("PORT=65536", "must be a whole number from 0 to 65535"),
        ("POLL_INTERVAL=0.5", "must be a whole number from 50 to 60000 (ms)"),
        ("OVERLAP_SECONDS=nan", "must be a number from 0 to 600 (s)"),
        ("OVERLAP_SECONDS=-1", "must be a number from 0 to 600 (s)"),
        ("MAINNET_ONLY=maybe", "must be true or false"),
        ("TRANSFER_FORM=both", "must be one of batch, single"),
        ("EDGE_PROCESSES=many", "must be a whole number from 0 to 256, or auto"),
        ("EDGE_PROCESSES=-1", "must be a whole number from 0 to 256, or auto"),
        ("PLUGINS=[1, 2]", "must be a list"),
        ("PLUGINS=[a", "must be a list"),
        ("GRAPHQL_ENDPOINT=ftp://x", "must be an http:// or https:// URL"),
        ("GRAPHQL_ENDPOINT=https://", "must be an http:// or https:// URL"),
        ("GRAPHQL_ENDPOINT=http://x:99999/", "must be an http:// or https:// URL"),
        ("GRAPHQL_ENDPOINT=http://x/a b", "must be an http:// or https:// URL"),
        ("LOG_LEVEL=LOUD", "has no level 'LOUD'"),
        ("LOG_LEVEL=INFO,sorce=DEBUG", "names no component 'sorce'; did you mean source?"),
        ("HOST=a\nb", "must not contain control characters"),
    ],
)
def test_a_bad_value_is_named_with_its_origin_and_what_is_allowed(text: str, allowed: str) -> None:
    """Every kind of bad value stops the start with one sentence."""
    name, _, value = text.partition("=")
    (problem,) = problems(overrides=[text])
    assert problem.startswith(f"--set: {name} is {value!r}, but ")
    assert allowed in problem
    (problem,) = problems(**{f"UNIONWS_{name}": value})
    assert problem.startswith(f"environment UNIONWS_{name}: {name} is ")


def test_unknown_names_are_refused_with_the_nearest_name(tmp_path: Path) -> None:
    """A misspelt name is an error wherever it stands."""
    file = tmp_path / "settings.py"
    file.write_text('"""Mine."""\n\nPOLL_INTERVALL = 5\n')
    assert problems(file, ["prot=1", "Z9=1"], UNIONWS_MAINET_ONLY="1") == [
        f"{file} line 3: unknown setting POLL_INTERVALL; did you mean POLL_INTERVAL?",
        "environment UNIONWS_MAINET_ONLY: unknown setting UNIONWS_MAINET_ONLY; "
        "did you mean UNIONWS_MAINNET_ONLY?",
        "--set: unknown setting prot; did you mean PORT?",
        "--set: unknown setting Z9",
    ]


def test_a_file_with_code_is_refused_and_never_run(tmp_path: Path) -> None:
    """Everything but NAME = literal is named with its line, all at once."""
    file = tmp_path / "settings.py"
    trap = tmp_path / "trap"
    file.write_text(
        f"import os\nHOST = open({str(trap)!r}, 'w').name\nPORT, HOST = 1, ''\nPORT += 1\nPORT = 7\n"
        "TRANSFER_FORM = 5\nPLUGINS = ['a', 5]\nMAINNET_ONLY = 2\nPOLL_LIMIT = True\n"
    )
    found = problems(file)
    assert [problem.split(" line ")[1].split(":")[0] for problem in found] == list("12346789")
    assert "only assignments NAME = value" in found[0]
    assert "HOST must be a plain value, not code" in found[1]
    assert not trap.exists()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file and one that is no Python are told apart."""
    assert "No such file" in problems(tmp_path / "none.py")[0]
    broken = tmp_path / "broken.py"
    broken.write_text("PORT = 1\nHOST = (\n")
    assert "line 2: not valid Python" in problems(broken)[0]
    broken.write_bytes(b"HOST = '\0'")
    assert str(broken) in problems(broken)[0]


def test_set_without_a_value_is_refused() -> None:
    """--set PORT says nothing."""
    assert problems(overrides=["PORT"]) == ["--set PORT: must have the form NAME=VALUE"]


def test_origins_are_remembered(tmp_path: Path) -> None:
    """What differs from the defaults is listed with where it was given; what does not is left out."""
    file = tmp_path / "settings.py"
    file.write_text("\nPORT = 9000\nPOLL_LIMIT = 100\n")
    changed = read_settings(file, ["SPREAD_MS=0"], {"MAINNET_ONLY": "1"}).changed()
    assert [(row.name, value, origin) for row, value, origin in changed] == [
        ("MAINNET_ONLY", True, "environment MAINNET_ONLY"),
        ("SPREAD_MS", 0, "--set"),
        ("PORT", 9000, f"{file} line 2"),
    ]


def test_passwords_in_urls_are_never_shown() -> None:
    """The public view, the list of changes and error texts mask the user part of a URL."""
    loaded = read_settings(None, ["GRAPHQL_ENDPOINT=https://me:hush@x.example/g"], {})
    assert public_view(loaded.settings)["GRAPHQL_ENDPOINT"] == "https://***@x.example/g"
    assert "hush" not in str(loaded.changed())
    assert "hush" not in problems(overrides=["GRAPHQL_ENDPOINT=ftp://me:hush@x"])[0]

from __future__ import annotations

import inspect

from unionws import errors


def classes() -> list[type[errors.UnionwsError]]:
    return [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.UnionwsError)
    ]


def test_the_drawing_shows_every_error() -> None:
    """The hierarchy in the module's docstring is the one in the code."""
    drawing = (errors.__doc__ or "").splitlines()
    for error in classes():
        (line,) = [line for line in drawing if error.__name__ in line.replace("─", " ").split()]
        depth = (len(line) - len(line.lstrip(" │├└─"))) // 4
        assert depth == len(error.__mro__) - len(errors.UnionwsError.__mro__) + 1, error.__name__


def test_settings_problems_are_kept_apart_and_shown_together() -> None:
    """All problems are in the text, each is in ``problems``."""
    error = errors.SettingsError(["one", "two"])
    assert str(error) == "one\ntwo"
    assert error.problems == ("one", "two")


def test_a_plugin_error_names_plugin_and_place() -> None:
    """The text alone tells where to look."""
    error = errors.PluginError("alerts", "plugins/alerts.py", "has no hook implementation")
    assert str(error) == "plugin 'alerts' (plugins/alerts.py): has no hook implementation"


def test_upstream_errors_have_stable_distinct_kinds() -> None:
    """Counters and logs are keyed by kind."""
    kinds = [error.kind for error in classes() if issubclass(error, errors.UpstreamError)]
    assert len(set(kinds)) == len(kinds)


def test_a_status_error_tells_the_wait_that_was_asked_for() -> None:
    """Retry-After is an attribute, and in the text when it was given."""
    assert str(errors.UpstreamStatus(429, 2.5)) == "HTTP status 429, asks to wait 2.5 s"
    assert errors.UpstreamStatus(500).retry_after is None

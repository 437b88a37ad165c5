"""It registers a name that another plugin has: nothing may start with it."""

from unionws import ServerMessage, hookimpl


@hookimpl
def register_messages():
    return [
        ServerMessage("acme.told", "Help.", "acme.told"),
        ServerMessage("acme.told", "Help.", "acme.told"),
    ]

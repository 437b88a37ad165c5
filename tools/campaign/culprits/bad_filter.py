"""It registers a filter that cannot work: nothing may start with it."""

from unionws import FilterField, hookimpl


@hookimpl
def register_filters():
    return [FilterField("acme.odd", str, matches=None, dump=str)]

"""Plugins that come with unionws but are loaded only when PLUGINS names them."""

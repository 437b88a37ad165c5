"""Scheduling: a poll's transfers spread over the next seconds, each route in order, none dropped."""

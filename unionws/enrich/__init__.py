"""Enrichment: display names, addresses and amounts, and each transfer's JSON, encoded once."""

from __future__ import annotations

import os
import re
from pathlib import Path

import graphql
import pytest

import unionws.source
from unionws.source import queries

OWN = Path(unionws.source.__file__).parent / "schema.graphql"
SCHEMAS = [OWN, *(Path(name) for name in [os.environ.get("UNION_SCHEMA", "")] if name)]


def unquoted(document: str) -> str:
    """The document as the published schema wants it: the comparison as an enum value."""
    return re.sub(r'p_comparison: "(lt|gt)"', r"p_comparison: \1", document)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
@pytest.mark.parametrize("query", queries.ALL, ids=lambda query: query.name)
def test_every_document_is_valid_against_the_schema(query, path):
    """Fields, arguments and types of variables are those of the SDL."""
    schema = graphql.build_schema(path.read_text("utf-8"))
    assert graphql.validate(schema, graphql.parse(unquoted(query.document))) == []


@pytest.mark.parametrize("query", queries.ALL, ids=lambda query: query.name)
def test_every_document_asks_for_the_cache_and_names_its_operation(query):
    """The service asks for ``@cached``; the field is the one that is read from the answer."""
    operation = graphql.parse(query.document).definitions[0]
    assert operation.name.value == query.name
    assert [directive.name.value for directive in operation.directives] == ["cached"]
    assert [selection.name.value for selection in operation.selection_set.selections] == [query.field]


def test_comparisons_are_sent_as_quoted_strings():
    """Older deployments know the comparison only as a string."""
    assert 'p_comparison: "gt"' in queries.AFTER.document
    assert 'p_comparison: "lt"' in queries.BEFORE.document
    assert "p_comparison" not in queries.NEWEST.document

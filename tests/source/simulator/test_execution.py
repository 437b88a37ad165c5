"""GraphQL: strict, both forms of enums, and the same answers as graphql-core's executor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    execute_sync,
    get_named_type,
    is_input_object_type,
    is_leaf_type,
    is_non_null_type,
    is_object_type,
    parse,
    print_ast,
)

from unionws.source.simulator.execution import (
    CACHED_DOCUMENTS,
    Executor,
    RefusedError,
    Tables,
    checked_document,
    load_schema,
    unquoted,
)

DATA = [{"chain_id": "1", "editions": [{"name": "app"}], "status": {"height": "7"}}, {"chain_id": None}]


def executor() -> Executor:
    return Executor(
        load_schema(),
        Tables(fields={}, with_arguments={("Query", "v2_chains"): lambda _source, _context, args: DATA}),
    )


def run(query: str, variables: dict[str, Any] | None = None, name: str | None = None) -> dict[str, Any]:
    return executor().execute(query, variables or {}, name, None)


@pytest.mark.parametrize(
    "query",
    [
        "{ v2_chains { chain_id } }",
        "{ v2_chains { id: chain_id __typename } }",
        "query Q($no: Boolean!) { v2_chains { chain_id testnet @skip(if: $no) } }",
        "{ v2_chains { chain_id ... @include(if: false) { rpc_type } } }",
        "{ v2_chains { ...A ...B } }"
        " fragment A on v2_chain_type { chain_id } fragment B on v2_chain_type { chain_id }",
        "{ a: v2_chains { chain_id } b: v2_chains { ... on v2_chain_type { chain_id } } }",
    ],
)
def test_answers_are_those_of_the_reference_executor(query: str) -> None:
    """Aliases, fragments, directives and merging give what graphql-core gives."""
    variables = {"no": True} if "$no" in query else {}
    root = {"v2_chains": DATA, "a": DATA}
    reference = execute_sync(load_schema(), parse(query), root, variable_values=variables)
    assert reference.errors is None
    assert run(query, variables) == reference.data


def test_selections_under_one_key_are_merged() -> None:
    """The same field twice with different selections gives both."""
    single = Executor(
        load_schema(),
        Tables(fields={}, with_arguments={("Query", "v2_chains"): lambda *_args, **_kwargs: DATA[:1]}),
    )
    query = "{ v2_chains { editions { name } } v2_chains { status { height } } }"
    expected = {"v2_chains": [{"editions": [{"name": "app"}], "status": {"height": "7"}}]}
    assert single.execute(query, {}, None, None) == expected


@pytest.mark.parametrize(
    ("query", "variables", "message"),
    [
        ("{ v2_chains { nonsense } }", {}, "nonsense"),
        ("{ v2_transfers(args: {p_nonsense: 1}) { sort_order } }", {}, "p_nonsense"),
        ('{ v2_transfers(args: {p_limit: "ten"}) { sort_order } }', {}, "Int"),
        ('{ v2_transfers(args: {p_comparison: "ge"}) { sort_order } }', {}, "ComparisonOp"),
        ("query Q($n: Int!) { v2_transfers(args: {p_limit: $n}) { sort_order } }", {"n": "ten"}, "Int"),
        ("query Q($n: Int!) { v2_transfers(args: {p_limit: $n}) { sort_order } }", {}, r"\$n"),
        ("query Q($n: String!) { v2_transfers(args: {p_limit: $n}) { sort_order } }", {"n": "1"}, r"\$n"),
        ("{ v2_chains @nonsense { chain_id } }", {}, "nonsense"),
        ('query Q @cached(ttl: "1") { v2_chains { chain_id } }', {}, "Int"),
        ("{ v2_chains }", {}, "v2_chains"),
        ("{ v2_chains { ", {}, "Syntax Error"),
        ("", {}, "Syntax Error"),
        ("mutation M { x }", {}, "mutation"),
        ("query A { v2_chains { chain_id } } query B { v2_chains { chain_id } }", {}, "operationName"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(query: str, variables: dict[str, Any], message: str) -> None:
    """Unknown fields, arguments and directives and wrong types are errors that name them."""
    with pytest.raises(RefusedError, match=message) as caught:
        run(query, variables)
    assert all(isinstance(error["message"], str) for error in caught.value.errors)


def test_the_operation_asked_for_is_run() -> None:
    """operationName chooses among several."""
    query = "query A { v2_chains { chain_id } } query B { v2_chains { __typename } }"
    assert run(query, name="B")["v2_chains"][0] == {"__typename": "v2_chain_type"}


@pytest.mark.parametrize("form", ["gt", '"gt"', "$op"])
def test_comparison_is_taken_bare_quoted_and_as_a_variable(form: str) -> None:
    """All three forms reach the resolver as the same value."""
    seen: list[Any] = []
    tables = Tables(
        fields={},
        with_arguments={("Query", "v2_transfers"): lambda _source, _context, args: seen.append(args) or []},
    )
    declared = "($op: ComparisonOp!)" if form == "$op" else ""
    query = f"query Q{declared} {{ v2_transfers(args: {{p_comparison: {form}}}) {{ sort_order }} }}"
    Executor(load_schema(), tables).execute(query, {"op": "gt"} if declared else {}, None, None)
    assert seen[0]["p_comparison"] == "gt"


def test_only_enum_positions_are_unquoted() -> None:
    """A text that happens to read like an enum value stays a text elsewhere."""
    query = '{ v2_transfers(args: {p_network: "gt", p_comparison: "gt"}) { sort_order } }'
    printed = print_ast(unquoted(load_schema(), parse(query)))
    assert 'p_network: "gt"' in printed
    assert "p_comparison: gt" in printed


def test_introspection_is_answered() -> None:
    """GraphQL tools can ask for the schema."""
    assert run("{ __schema { queryType { name } } }") == {"__schema": {"queryType": {"name": "Query"}}}


def test_checked_documents_are_kept_up_to_a_bound() -> None:
    """A repeated query is parsed once; many different ones do not add up."""
    one = executor()
    assert one._document("{ v2_chains { chain_id } }") is one._document("{ v2_chains { chain_id } }")
    for number in range(CACHED_DOCUMENTS + 10):
        one._document(f"query Q{number} {{ v2_chains {{ chain_id }} }}")
    assert len(one._documents) == CACHED_DOCUMENTS


def everything(schema: GraphQLSchema, parent: GraphQLObjectType, depth: int = 4) -> str:
    """A selection of all fields, nested ones down to a depth."""
    parts = []
    for name, definition in parent.fields.items():
        below = get_named_type(definition.type)
        if is_leaf_type(below):
            parts.append(name)
        elif is_object_type(below) and depth:
            parts.append(f"{name} {everything(schema, below, depth - 1)}")
    return "{ __typename " + " ".join(parts) + " }"


def test_the_subset_is_the_full_schema_as_far_as_it_goes() -> None:
    """Every type, field, argument and enum value here exists in the full SDL with the same type."""
    name = os.environ.get("UNION_SCHEMA")
    if name is None:
        pytest.skip("UNION_SCHEMA names no file with the full SDL")
    ours, full = load_schema(), build_schema(Path(name).read_text("utf-8"))
    for type_name, mine in ours.type_map.items():
        theirs = full.type_map[type_name]
        assert type(mine) is type(theirs)
        if is_object_type(mine) or is_input_object_type(mine):
            assert is_object_type(theirs) or is_input_object_type(theirs)
            for field_name, field in mine.fields.items():
                other = theirs.fields[field_name]
                assert str(field.type) == str(other.type), (type_name, field_name)
                for argument, definition in getattr(field, "args", {}).items():
                    assert str(definition.type) == str(other.args[argument].type)
        assert set(getattr(mine, "values", {})) == set(getattr(theirs, "values", {}))
    checked_document(full, everything_query(ours))


def everything_query(schema: GraphQLSchema) -> str:
    root = schema.query_type
    assert root is not None
    return f"query Everything @cached(ttl: 1) {everything(schema, root)}"


def check(schema: GraphQLSchema, parent: GraphQLObjectType, value: dict[str, Any]) -> None:
    """Every field of an answer has the type the schema promises."""
    for name, definition in parent.fields.items():
        if name not in value:
            continue
        if value[name] is None:
            assert not is_non_null_type(definition.type), (parent.name, name)
            continue
        below = get_named_type(definition.type)
        items = value[name] if isinstance(value[name], list) else [value[name]]
        assert isinstance(value[name], list) == ("[" in str(definition.type)), (parent.name, name)
        for item in items:
            if is_object_type(below):
                check(schema, below, item)
            else:
                kinds = {"String": str, "Int": int, "Float": float, "Boolean": bool, "DateTime": str}
                assert type(item) is kinds[below.name], (parent.name, name, item)

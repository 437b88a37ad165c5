"""GraphQL over our tables: graphql-core parses, validates and coerces; a compiled plan answers.

graphql-core's own executor adds 8 to 12 ms for a page of 100 transfers; with a plan of plain
functions the whole answer takes 3 to 6 ms, and the poller asks twice a second, page after page when
there is much to fetch.
Introspection, which is rare, goes to graphql-core's executor.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import Any

from graphql import (
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    execute_sync,
    get_named_type,
    get_operation_ast,
    is_object_type,
    parse,
    validate,
    visit,
)
from graphql.execution import get_argument_values, get_directive_values, get_variable_values

CACHED_DOCUMENTS = 64

Getter = Callable[[Any, Any], Any]


class RefusedError(Exception):
    """The request is answered with GraphQL ``errors``.

    Attributes:
        errors: the errors in the form of the GraphQL specification.
    """

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = [error.formatted for error in errors]


@dataclass(frozen=True, slots=True)
class Tables:
    """What the fields of each type answer. A type without a table is a mapping of its fields.

    Attributes:
        fields: type name to field name to (source, context) → value.
        with_arguments: (type, field) to (source, context, **arguments) → value.
        rewrites: (type, field) to what is done with its finished answer.
    """

    fields: Mapping[str, Mapping[str, Getter]]
    with_arguments: Mapping[tuple[str, str], Callable[..., Any]]
    rewrites: Mapping[tuple[str, str], Callable[[Any], Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Plan:
    """How to answer a selection: (key, getter, plan of what is below or None) for each field."""

    fields: list[tuple[str, Getter, Plan | None]] = field(default_factory=list)

    def answer(self, source: Any, context: Any) -> dict[str, Any]:
        """The selected fields of one object."""
        return {
            key: get(source, context) if below is None else below.value(get(source, context), context)
            for key, get, below in self.fields
        }

    def value(self, source: Any, context: Any) -> Any:
        """The selected fields of an object, of each object of a list, or None."""
        if source is None:
            return None
        if isinstance(source, list):
            return [self.answer(item, context) for item in source]
        return self.answer(source, context)


class Executor:
    """Answers requests against one schema.

    Args:
        schema: the schema; strings are accepted where an enum is expected.
        tables: the resolvers.
    """

    def __init__(self, schema: GraphQLSchema, tables: Tables) -> None:
        self._schema = schema
        self._tables = tables
        self._documents: OrderedDict[str, DocumentNode] = OrderedDict()

    def execute(
        self, query: str, variables: Mapping[str, Any], operation_name: str | None, context: Any
    ) -> dict[str, Any]:
        """The ``data`` of the answer; raises RefusedError."""
        document = self._document(query)
        operation = get_operation_ast(document, operation_name)
        if operation is None:
            raise RefusedError([GraphQLError("Give the operationName of one operation of the document.")])
        if _is_introspection(operation):
            return self._introspect(document, variables, operation_name)
        values = get_variable_values(self._schema, operation.variable_definitions or (), dict(variables))
        if isinstance(values, list):
            raise RefusedError(values)
        return self._answer(document, operation, values, context)

    def _answer(
        self, document: DocumentNode, operation: OperationDefinitionNode, values: Any, context: Any
    ) -> dict[str, Any]:
        root = self._schema.get_root_type(operation.operation)
        if root is None:
            raise RefusedError([GraphQLError(f"No {operation.operation.value} here.", operation)])
        try:
            compiler = _Compiler(self._schema, self._tables, document, values)
            return compiler.plan(root, [operation.selection_set]).answer(None, context)
        except GraphQLError as error:
            raise RefusedError([error]) from error

    def _introspect(
        self, document: DocumentNode, variables: Mapping[str, Any], operation_name: str | None
    ) -> dict[str, Any]:
        result = execute_sync(
            self._schema, document, variable_values=dict(variables), operation_name=operation_name
        )
        if result.errors or result.data is None:
            raise RefusedError(result.errors or [GraphQLError("Nothing to answer.")])
        return result.data

    def _document(self, query: str) -> DocumentNode:
        document = self._documents.get(query)
        if document is None:
            document = checked_document(self._schema, query)
            self._documents[query] = document
            if len(self._documents) > CACHED_DOCUMENTS:
                self._documents.popitem(last=False)
        self._documents.move_to_end(query)
        return document


def load_schema() -> GraphQLSchema:
    """The schema of ``source/schema.graphql``."""
    return build_schema((files("unionws.source") / "schema.graphql").read_text("utf-8"))


def checked_document(schema: GraphQLSchema, query: str) -> DocumentNode:
    """Parse and validate a query, with quoted enum values unquoted; raises RefusedError."""
    try:
        document = unquoted(schema, parse(query))
    except GraphQLError as error:
        raise RefusedError([error]) from error
    errors = validate(schema, document)
    if errors:
        raise RefusedError(errors)
    return document


def unquoted(schema: GraphQLSchema, document: DocumentNode) -> DocumentNode:
    """The document with each string that stands for a value of an enum turned into that value."""
    info = TypeInfo(schema)
    result: DocumentNode = visit(document, TypeInfoVisitor(info, _Unquote(info)))
    return result


class _Unquote(Visitor):
    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self._info = info

    def enter_string_value(self, node: StringValueNode, *_args: Any) -> EnumValueNode | None:
        expected = self._info.get_input_type()
        named = get_named_type(expected) if expected is not None else None
        if isinstance(named, GraphQLEnumType) and node.value in named.values:
            return EnumValueNode(value=node.value, loc=node.loc)
        return None


def _is_introspection(operation: OperationDefinitionNode) -> bool:
    names = [node.name.value for node in operation.selection_set.selections if isinstance(node, FieldNode)]
    return any(name in ("__schema", "__type") for name in names)


class _Compiler:
    """Turns selections into plans, for one request: variables are bound."""

    def __init__(self, schema: GraphQLSchema, tables: Tables, document: DocumentNode, values: Any) -> None:
        self._schema, self._tables, self._values = schema, tables, values
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }

    def plan(self, parent: GraphQLObjectType, selections: Sequence[SelectionSetNode]) -> Plan:
        """The plan of selections on one type; fields under one key are merged."""
        merged: dict[str, list[FieldNode]] = {}
        for selection in selections:
            for node in self._fields(selection):
                key = node.alias.value if node.alias else node.name.value
                merged.setdefault(key, []).append(node)
        return Plan([(key, *self._field(parent, nodes)) for key, nodes in merged.items()])

    def _fields(self, selections: SelectionSetNode) -> Iterator[FieldNode]:
        """The fields of a selection, those of its fragments included, as directives allow."""
        for node in selections.selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, FragmentSpreadNode):
                yield from self._fields(self._fragments[node.name.value].selection_set)
            else:
                yield from self._fields(node.selection_set)  # type: ignore[attr-defined]

    def _included(self, node: Any) -> bool:
        skip = get_directive_values(GraphQLSkipDirective, node, self._values)
        include = get_directive_values(GraphQLIncludeDirective, node, self._values)
        return not (skip and skip["if"]) and not (include and not include["if"])

    def _field(self, parent: GraphQLObjectType, nodes: list[FieldNode]) -> tuple[Getter, Plan | None]:
        name = nodes[0].name.value
        if name == "__typename":
            return (lambda _source, _context: parent.name), None
        definition = parent.fields[name]
        below = get_named_type(definition.type)
        get = self._getter(parent.name, name, definition, nodes[0])
        if not is_object_type(below):
            return get, None
        inner = [node.selection_set for node in nodes if node.selection_set is not None]
        plan = self.plan(below, inner)
        rewrite = self._tables.rewrites.get((parent.name, name))
        if rewrite is None:
            return get, plan
        return (lambda source, context: rewrite(plan.value(get(source, context), context))), None

    def _getter(self, parent: str, name: str, definition: Any, node: FieldNode) -> Getter:
        resolver = self._tables.with_arguments.get((parent, name))
        if resolver is not None:
            return partial(resolver, **get_argument_values(definition, node, self._values))
        table = self._tables.fields.get(parent)
        return _from_mapping(name) if table is None else table[name]


def _from_mapping(name: str) -> Getter:
    return lambda source, _context: source[name]

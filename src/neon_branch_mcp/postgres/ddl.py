"""A whole Schema → the statements that make it, in an order in which they run."""

from collections import defaultdict
from collections.abc import Iterator

from .ddl_names import literal, quote
from .ddl_objects import (
    TableLookup,
    attributes,
    create_index,
    finish,
    finish_keys,
    finish_rest,
    grant_statements,
    make,
)
from .schema import Extension, Namespace, Schema, SchemaObject, Sequence


def to_ddl(schema: Schema, *, owners: bool = True) -> str:
    """Statements that make the schema in an empty database of the same Postgres version, where its roles exist.

    pg_dump --schema-only says the same of the result as of the original. Needs a schema that was read whole, with nothing locked; a
    foreign server's passwords are left out.
    """
    return "".join(f"{statement};\n" for statement in statements(schema, owners=owners))


def statements(schema: Schema, *, owners: bool = True) -> Iterator[str]:
    """The statements of `to_ddl`, without their semicolons."""
    yield "SET check_function_bodies = off"
    yield "SELECT pg_catalog.set_config('search_path', '', false)"
    for namespace in schema.namespaces:
        yield from namespace_statements(namespace, owners)
    for extension in schema.extensions:
        yield from extension_statements(extension)
    objects = in_order(schema)
    lookup = {(t.schema, t.name): t for t in schema.tables}
    late = {"event trigger", "publication", "statistics", "default privileges", "subscription"}
    first = [o for o in objects if getattr(o, "kind", "") not in late]
    last = [o for o in objects if getattr(o, "kind", "") in late]
    for obj in first:
        yield from make(obj)
    for obj in first:
        yield from finish(obj, lookup=lookup)
    for table in schema.tables:
        # Partitions are attached by now: attaching would give each a part of an index that it does not have, or choose among equal ones.
        for index in table.indexes:
            yield from create_index(table, index)
    for table in schema.tables:
        yield from finish_keys(table)
    for table in schema.tables:
        yield from finish_rest(table)
    for obj in last:
        yield from make(obj)
    for obj in (*first, *last):
        yield from attributes(obj, owners)


def namespace_statements(namespace: Namespace, owners: bool) -> Iterator[str]:
    """CREATE SCHEMA, but for public, which every database has; its owner, comment and grants."""
    name = quote(namespace.name)
    if namespace.name != "public":
        yield f"CREATE SCHEMA {name}"
    if owners and namespace.owner:
        yield f"ALTER SCHEMA {name} OWNER TO {quote(namespace.owner)}"
    if namespace.comment and not (namespace.name == "public" and namespace.comment == "standard public schema"):
        yield f"COMMENT ON SCHEMA {name} IS {literal(namespace.comment)}"
    yield from grant_statements(f"SCHEMA {name}", namespace.grants, namespace.owner)


def extension_statements(extension: Extension) -> Iterator[str]:
    """CREATE EXTENSION; its schema is one of the schemas, or made by the extension itself."""
    schema = "" if extension.schema == "pg_catalog" else f" WITH SCHEMA {quote(extension.schema)}"
    yield f"CREATE EXTENSION IF NOT EXISTS {quote(extension.name)}{schema}"
    if extension.comment:
        yield f"COMMENT ON EXTENSION {quote(extension.name)} IS {literal(extension.comment)}"


def in_order(schema: Schema) -> list[SchemaObject]:
    """The objects, each after those it needs; where nothing is needed, sequences and types come before tables, these before views."""
    objects: list[SchemaObject] = [*schema.sequences, *(o for o in schema.objects() if not isinstance(o, Sequence))]
    by_oid = {o.oid: o for o in objects}
    needs: defaultdict[int, list[int]] = defaultdict(list)
    for obj, needed in schema.depends:
        if obj in by_oid and needed in by_oid:
            needs[obj].append(needed)
    names = {(t.schema, t.name): t.oid for t in schema.tables}
    for table in schema.tables:
        needs[table.oid] += [names[p] for p in table.parents if p in names]
    return _sorted(objects, by_oid, needs)


def _sorted(
    objects: list[SchemaObject], by_oid: dict[int, SchemaObject], needs: dict[int, list[int]]
) -> list[SchemaObject]:
    """Depth first without recursion; a cycle, which Postgres allows in few odd cases, is cut where it was entered."""
    done: dict[int, SchemaObject] = {}
    entered: set[int] = set()
    for obj in objects:
        stack = [obj.oid]
        while stack:
            oid = stack[-1]
            open_needs = [] if oid in entered else [n for n in needs.get(oid, ()) if n not in done and n not in entered]
            entered.add(oid)
            if open_needs:
                stack += sorted(open_needs, reverse=True)
            else:
                stack.pop()
                done.setdefault(oid, by_oid[oid])
    return list(done.values())


def object_text(
    obj: SchemaObject, owned: tuple[Sequence, ...] = (), lookup: TableLookup | None = None, *, owners: bool = False
) -> list[str]:
    """One object's statements as lines, as a person would read them: constraints and defaults inline, what hangs on it after it.

    `lookup` holds the tables that it inherits from.
    """
    out: list[str] = []
    for sequence in owned:
        out += make(sequence)
    out += make(obj, inline=True)
    out += finish(obj, inline=True, lookup=lookup)
    for sequence in owned:
        out += finish(sequence)
        out += attributes(sequence, owners)
    out += attributes(obj, owners)
    return [line for statement in out for line in f"{statement};".split("\n")]

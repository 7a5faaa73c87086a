"""A schema as the text that a model reads: whole, or one page of it."""

from collections.abc import Sequence

from .ddl import object_text
from .ddl_names import quote
from .schema import Extension, Function, Other, Schema, SchemaObject, Table, View
from .schema_compact import compact, label, relation_notes
from .schema_page import Detail, Entry, Page, Position, SchemaText, fill, header, select
from .schema_parts import LEGEND, Context

__all__ = ["Detail", "SchemaText", "render"]

BUDGET = 32_000
KIND_OF_TYPE = {
    "Enum": "enum",
    "Domain": "domain",
    "Composite": "composite",
    "Range": "range",
    "Table": "table",
    "View": "view",
    "Sequence": "sequence",
    "Function": "function",
    "Other": "other",
}


def entry_of(obj: SchemaObject) -> Entry:
    """The object's entry in a list of names."""
    identity = obj.identity if isinstance(obj, (Function, Other)) else ""
    rows = obj.rows if isinstance(obj, (Table, View)) else None
    return Entry(obj.schema, KIND_OF_TYPE[type(obj).__name__], obj.name, identity, obj.oid, label(obj), rows)


def lines_of(obj: SchemaObject, detail: Detail, context: Context) -> list[str]:
    """The object's text."""
    if detail == "names":
        return [entry_of(obj).line()]
    if detail == "tables":
        return compact(obj, context)
    return _full(obj, context)


def _full(obj: SchemaObject, context: Context) -> list[str]:
    """The exact statements, with what compact text says beyond DDL as comments."""
    if getattr(obj, "locked", False) or (isinstance(obj, (Function, Other)) and not obj.definition):
        return compact(obj, context)
    if not isinstance(obj, (Table, View)):
        return object_text(obj)
    owned = tuple(s for (schema, table, _), s in context.owned.items() if (schema, table) == (obj.schema, obj.name))
    notes = [f"-- {note}" for note in relation_notes(obj)]
    return [*notes, *object_text(obj, owned, dict(context.parents))]


def extension_names(extensions: Sequence[Extension]) -> list[str]:
    """Each extension with its version, and its schema where that is not public."""
    return [
        f"{quote(e.name)} {e.version}" + ("" if e.schema in ("public", "pg_catalog") else f" in {quote(e.schema)}")
        for e in extensions
    ]


def legend(detail: Detail, entries: Sequence[Entry]) -> list[str]:
    """The line that says what signs mean, where the answer has any."""
    return [LEGEND] if detail == "tables" and any(e.kind == "table" for e in entries) else []


def render(
    schema: Schema,
    *,
    detail: Detail = "tables",
    objects: Sequence[str] | None = None,
    budget: int = BUDGET,
    cursor: str | None = None,
) -> SchemaText:
    """The schema, or the objects named or globbed by `objects`, as text of at most `budget` bytes, from `cursor` on.

    Raises NotFound when `objects` name nothing, with the nearest names, and for a cursor that is not one.
    """
    by_key = {entry_of(o).key: o for o in schema.objects() if getattr(o, "owned_by", None) is None}
    entries, missing = select([entry_of(by_key[k]) for k in sorted(by_key)], objects or ())
    head = header(schema.database, schema.server_version, entries, extension_names(schema.extensions))
    page = Page([*head, *legend(detail, entries), *(f"-- {m}" for m in missing)], budget)
    start = Position.parse(cursor) if cursor else None
    context = Context.of(schema, frozenset((e.schema, e.name) for e in entries if e.kind == "table"), signs=True)
    stop = fill(page, entries, start, lambda e: lines_of(by_key[e.key], detail, context))
    return page.finish(entries, stop)

"""Known changes to a schema that nobody made for it, each with what a comparison has to say: that, and nothing else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from neon_branch_mcp.migrations.diff_changes import dotted, local, object_name
from neon_branch_mcp.postgres.ddl_names import literal, qualified, quote, short_type
from neon_branch_mcp.postgres.schema import Column, Schema, Table

CANDIDATES = 8  # objects to try a change on, for others may depend on the first


@dataclass(frozen=True, slots=True)
class Known:
    """A statement and how the one line of its difference begins."""

    statement: str
    told: str


Maker = Callable[[Schema], Iterator[Known]]


def plain_tables(schema: Schema) -> list[Table]:
    """Tables of their own: no partitions, no children."""
    return [t for t in schema.tables if t.kind == "table" and not t.parents and t.columns]


def _per_table(statement: str, told: str, wanted: Callable[[Table], bool] = lambda t: True) -> Maker:
    def make(schema: Schema) -> Iterator[Known]:
        for t in filter(wanted, plain_tables(schema)):
            names = {"table": qualified(t.schema, t.name), "said": dotted(t.schema, t.name)}
            first = quote(t.columns[0].name)
            yield Known(statement.format(**names, first=first), told.format(**names, first=first))

    return make


def _per_column(wanted: Callable[[Table, Column], bool], statement: str, told: str) -> Maker:
    def make(schema: Schema) -> Iterator[Known]:
        for t in plain_tables(schema):
            for c in t.columns:
                if wanted(t, c):
                    names = {"table": qualified(t.schema, t.name), "said": dotted(t.schema, t.name)}
                    yield Known(
                        statement.format(**names, column=quote(c.name)),
                        told.format(**names, column=quote(c.name), type=local(short_type(c.type))),
                    )

    return make


def _in_key(t: Table, c: Column) -> bool:
    return any(c.name in k.columns for k in t.constraints if k.kind != "check")


def _drop_index(schema: Schema) -> Iterator[Known]:
    for t in plain_tables(schema):
        for i in t.indexes:
            yield Known(f"drop index {qualified(t.schema, i.name)}", f"drop index {dotted(t.schema, i.name)} on ")


def _drop_constraint(kind: str) -> Maker:
    def make(schema: Schema) -> Iterator[Known]:
        for t in plain_tables(schema):
            for c in t.constraints:
                if c.kind == kind:
                    yield Known(
                        f"alter table {qualified(t.schema, t.name)} drop constraint {quote(c.name)}",
                        f"drop constraint {quote(c.name)} on {dotted(t.schema, t.name)}: ",
                    )

    return make


def _self_reference(schema: Schema) -> Iterator[Known]:
    for t in plain_tables(schema):
        for c in t.constraints:
            if c.kind == "primary key":
                columns = ", ".join(quote(n) for n in c.columns)
                yield Known(
                    f"alter table {qualified(t.schema, t.name)} add constraint zz_fk foreign key ({columns}) "
                    f"references {qualified(t.schema, t.name)} ({columns})",
                    f"add constraint zz_fk on {dotted(t.schema, t.name)}: foreign key ({columns}) references ",
                )


def _view(schema: Schema) -> Iterator[Known]:
    for v in schema.views:
        if not v.materialized:
            yield Known(
                f"create or replace view {qualified(v.schema, v.name)} as select * from ({v.definition}) zz",
                f"alter view {dotted(v.schema, v.name)}: another definition",
            )


def _drop_view(schema: Schema) -> Iterator[Known]:
    for v in schema.views:
        kind = "materialized view" if v.materialized else "view"
        yield Known(f"drop {kind} {qualified(v.schema, v.name)}", f"drop {kind} {dotted(v.schema, v.name)}")


def _body(schema: Schema) -> Iterator[Known]:
    for f in schema.functions:
        if f.language == "plpgsql" and "AS $function$" in f.definition:
            yield Known(
                f.definition.replace("AS $function$", "AS $function$ -- changed\n", 1),
                f"alter {object_name(f)}: another body",
            )


def _drop_function(schema: Schema) -> Iterator[Known]:
    for f in schema.functions:
        if f.kind in ("function", "procedure"):
            yield Known(f"drop {f.kind} {qualified(f.schema, f.name)}({f.identity})", f"drop {object_name(f)}")


def _enum_value(schema: Schema) -> Iterator[Known]:
    for e in schema.enums:
        place = f" before {literal(e.values[0])}" if e.values else ""
        yield Known(
            f"alter type {qualified(e.schema, e.name)} add value 'zz'{place}",
            f"alter type {dotted(e.schema, e.name)}: add value 'zz'{place}",
        )


def _sequence(schema: Schema) -> Iterator[Known]:
    for s in schema.sequences:
        yield Known(
            f"alter sequence {qualified(s.schema, s.name)} increment {s.options.increment + 7}",
            f"alter sequence {dotted(s.schema, s.name)}: INCREMENT BY {s.options.increment + 7} ",
        )


def _once(statement: str, told: str) -> Maker:
    return lambda schema: iter([Known(statement, told)])


CHANGES: dict[str, Maker] = {
    "create table": _once("create table public.zz_table (id serial primary key)", "create table zz_table (1 column"),
    "drop table": _per_table("drop table {table}", "drop table {said}"),
    "add column": _per_table("alter table {table} add zz_added text", "add column {said}.zz_added text"),
    "drop column": _per_column(
        lambda t, c: not _in_key(t, c), "alter table {table} drop {column}", "drop column {said}.{column} {type}"
    ),
    "alter type": _per_column(
        lambda t, c: c.type == "integer" and c.default is None and not c.detail.identity and not _in_key(t, c),
        "alter table {table} alter {column} type bigint",
        "alter column {said}.{column}: type int -> bigint",
    ),
    "set default": _per_column(
        lambda t, c: c.type in ("text", "character varying") or c.type.startswith("character varying("),
        "alter table {table} alter {column} set default 'zz'",
        "alter column {said}.{column}: set default 'zz'::",
    ),
    "drop default": _per_column(
        lambda t, c: c.default is not None and not c.detail.generated,
        "alter table {table} alter {column} drop default",
        "alter column {said}.{column}: drop default",
    ),
    "drop not null": _per_column(
        lambda t, c: c.not_null and not _in_key(t, c),
        "alter table {table} alter {column} drop not null",
        "alter column {said}.{column}: drop not null",
    ),
    "create index": _per_table("create index zz_index on {table} ({first})", "create index "),
    "drop index": _drop_index,
    "new check": _per_table(
        "alter table {table} add constraint zz_check check ({first} is not null)",
        "add constraint zz_check on {said}: check ({first} IS NOT NULL)",
    ),
    "new foreign key": _self_reference,
    "drop foreign key": _drop_constraint("foreign key"),
    "drop unique": _drop_constraint("unique"),
    "drop check": _drop_constraint("check"),
    "new view": _per_table("create view public.zz_view as select * from {table}", "create view zz_view"),
    "view changed": _view,
    "drop view": _drop_view,
    "function body": _body,
    "drop function": _drop_function,
    "policy": _per_table("create policy zz on {table} using (true)", "create policy zz on {said} for all"),
    "row security": _per_table(
        "alter table {table} enable row level security",
        "alter table {said}: row level security enabled",
        lambda t: not t.row_security,
    ),
    "grant": _per_table("grant truncate on {table} to pg_monitor", "grants on table {said}: +TRUNCATE pg_monitor"),
    "enum value": _enum_value,
    "new enum": _once("create type public.zz_enum as enum ('a', 'b')", "create type zz_enum ('a', 'b')"),
    "sequence": _sequence,
    "trigger": _per_table(
        "create trigger zz before update on {table} for each row execute function suppress_redundant_updates_trigger()",
        "create trigger zz on {said} (suppress_redundant_updates_trigger)",
    ),
    "comment on table": _per_table("comment on table {table} is 'zz'", "comment on table {said}: zz"),
    "comment on column": _per_table(
        "comment on column {table}.{first} is 'zz'", "comment on column {said}.{first}: zz"
    ),
    "unlogged": _per_table(
        "alter table {table} set unlogged", "alter table {said}: unlogged", lambda t: not t.unlogged
    ),
    "options": _per_table("alter table {table} set (fillfactor = 61)", "alter table {said}: options ("),
}

"""The checks of one schema file, each against what pg_dump says of the original."""

import difflib
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from neon_branch_mcp.migrations.diff import diff
from neon_branch_mcp.migrations.plan import plan
from neon_branch_mcp.postgres.ddl import extension_statements, namespace_statements, to_ddl
from neon_branch_mcp.postgres.introspect import introspect
from neon_branch_mcp.postgres.schema import Function, Schema
from neon_branch_mcp.postgres.schema_parts import Context
from neon_branch_mcp.postgres.schema_text import lines_of

from .changes import CANDIDATES, CHANGES, Known

SHOWN = 12
FOREIGN_KEY = re.compile(r"\n    (CONSTRAINT \S+ FOREIGN KEY .*)")
Connection = psycopg.AsyncConnection[psycopg.rows.TupleRow]


# Sizes leave out functions, of which the text shows the signatures only.
HEADINGS = ("schema", "tables", "objects", "changes told", "text of CREATE …", "… and ADD CONSTRAINT")


@dataclass
class Result:
    """What was found of one schema. `problems` is empty when everything held."""

    name: str
    tables: int = 0
    objects: int = 0
    not_loaded: int = 0
    changes: int = 0
    text: int = 0
    creates: int = 0
    with_keys: int = 0
    problems: list[str] = field(default_factory=list)

    def row(self) -> tuple[str, ...]:
        """The result as the cells of HEADINGS."""
        loaded = f" ({self.not_loaded} statements not loaded)" if self.not_loaded else ""
        shares = [f"{self.text / whole:.0%}" if whole else "" for whole in (self.creates, self.with_keys)]
        return (self.name + loaded, str(self.tables), str(self.objects), str(self.changes), *shares)


@dataclass(frozen=True)
class Server:
    """A superuser's way to a server, and the folder of its programs."""

    conninfo: str
    programs: Path

    def uri(self, database: str) -> str:
        return make_conninfo(self.conninfo, dbname=database)

    def run(self, program: str, *arguments: str, database: str, given: str = "") -> str:
        """A program's standard output; a failure is an error."""
        command = [str(self.programs / program), *arguments, "-d", self.uri(database)]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout

    @contextmanager
    def databases(self, *made: tuple[str, str]) -> Iterator[None]:
        """Databases made from templates, dropped at the end."""
        with psycopg.connect(self.uri("postgres"), autocommit=True) as conn:
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            for name, template in made:
                conn.execute(drop.format(sql.Identifier(name)))
                create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
                conn.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
            try:
                yield
            finally:
                for name, _ in reversed(made):
                    conn.execute(drop.format(sql.Identifier(name)))

    def dump(self, database: str, *options: str) -> list[str]:
        """pg_dump's lines of the schema, without what differs from run to run."""
        text = self.run("pg_dump", "--schema-only", *options, database=database)
        return [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]

    def load(self, file: Path, database: str) -> int:
        """Runs a file with psql; how many statements failed."""
        command = [str(self.programs / "psql"), "-q", "-X", "-f", str(file), "-d", self.uri(database)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stderr.count("ERROR:")


async def check(server: Server, file: Path) -> Result:
    """Loads the file and checks everything."""
    result = Result(file.stem)
    with server.databases(("zz_loaded", "template0"), ("zz_original", "template0")):
        result.not_loaded = server.load(file, "zz_loaded")
        # What Postgres itself does not restore to the letter (EXTRACT(YEAR …) comes back as year) is not asked of us.
        server.run("psql", "-q", "-X", database="zz_original", given="\n".join(server.dump("zz_loaded")))
        async with await connect(server, "zz_original") as conn:
            schema = await introspect(conn)
        _count(server.dump("zz_original"), schema, result)
        await _rebuilt(server, schema, result)
        with server.databases(("zz_copy", "zz_original")):
            await _compared(server, schema, result)
    return result


async def connect(server: Server, database: str) -> Connection:
    """A session that commits each statement."""
    return await psycopg.AsyncConnection.connect(server.uri(database), autocommit=True)


def _count(dump: list[str], schema: Schema, result: Result) -> None:
    result.tables = len(schema.tables)
    result.objects = sum(line.startswith("-- Name: ") for line in dump)
    context = Context.of(schema, frozenset((t.schema, t.name) for t in schema.tables), signs=True)
    shown = [o for o in schema.objects() if not isinstance(o, Function) and getattr(o, "owned_by", None) is None]
    result.text = sum(len(line) + 1 for o in shown for line in lines_of(o, "tables", context))
    lines = [line for line in dump if line and not line.startswith(("--", "\\"))]
    for statement in plan("\n".join(lines)).statements:
        size = len(statement.text) + 2
        if statement.kind in ("create function", "create procedure"):
            continue
        if statement.text.startswith("CREATE"):
            result.creates += size
            result.with_keys += size
        elif re.match(r"ALTER TABLE ONLY \S+\s+ADD CONSTRAINT", statement.text):
            result.with_keys += size


async def _rebuilt(server: Server, schema: Schema, result: Result) -> None:
    with server.databases(("zz_rebuilt", "template0")):
        async with await connect(server, "zz_rebuilt") as conn:
            try:
                await conn.execute(to_ddl(schema).encode())
            except psycopg.Error as error:
                result.problems.append(f"the statements of the objects do not run: {error}")
            again = await introspect(conn)
        result.problems += [f"rebuilt from objects, introspected: {c.summary}" for c in diff(schema, again).changes][
            :SHOWN
        ]
        result.problems += _differences(server, "from objects")
    with server.databases(("zz_rebuilt", "template0")):
        async with await connect(server, "zz_rebuilt") as conn:
            failed = await _run_in_any_order(conn, list(_full_statements(schema)))
        result.problems += [f"from the text of full: {problem}" for problem in failed[:SHOWN]]
        result.problems += _differences(server, "from the text of full", "--no-owner")


def _differences(server: Server, how: str, *options: str) -> list[str]:
    original, rebuilt = (server.dump(name, *options) for name in ("zz_original", "zz_rebuilt"))
    found = list(difflib.unified_diff(original, rebuilt, "original", how, lineterm="", n=1))
    return [f"rebuilt {how}, pg_dump differs in {len(found)} lines", *found[:SHOWN]] if found else []


def _full_statements(schema: Schema) -> Iterator[str]:
    """What `full` shows of every object, with the schemas and extensions that its headings name."""
    for namespace in schema.namespaces:
        yield from namespace_statements(namespace, False)
    for extension in schema.extensions:
        yield from extension_statements(extension)
    context = Context.of(schema)
    for obj in schema.objects():
        if getattr(obj, "owned_by", None) is None:
            for statement in plan("\n".join(lines_of(obj, "full", context))).statements:
                yield from _keys_apart(statement.text)


def _keys_apart(statement: str) -> Iterator[str]:
    """CREATE TABLE without the foreign keys that stand in it, then those: two tables may refer to each other."""
    keys = FOREIGN_KEY.findall(statement)
    yield re.sub(r",(?=\n\))", "", FOREIGN_KEY.sub("", statement)) if keys else statement
    for key in keys:
        yield f"{statement.partition(' (')[0].replace('CREATE UNLOGGED', 'CREATE').replace('CREATE', 'ALTER', 1)} ADD {key.rstrip(',')}"


async def _run_in_any_order(conn: Connection, statements: list[str]) -> list[str]:
    """Runs what can be run until nothing more can; the errors of the rest."""
    await conn.execute("SET check_function_bodies = off; SELECT pg_catalog.set_config('search_path', '', false)")
    errors: list[str] = []
    while statements:
        left: list[str] = []
        errors = []
        for statement in statements:
            try:
                await conn.execute(statement.encode())
            except psycopg.Error as error:
                left.append(statement)
                errors.append(f"{error} in {statement[:200]}")
        if len(left) == len(statements):
            break
        statements = left
    return errors


async def _compared(server: Server, schema: Schema, result: Result) -> None:
    async with await connect(server, "zz_copy") as conn, await connect(server, "zz_original") as original:
        for change in diff(schema, await introspect(conn)).changes:
            result.problems.append(f"two copies differ: {change.summary}")
        for name, known in CHANGES.items():
            for candidate in islice(known(schema), CANDIDATES):
                changed = await _after(conn, candidate.statement)
                if changed is not None:
                    result.changes += 1
                    result.problems += await _told(original, schema, changed, name, candidate)
                    break


async def _told(original: Connection, schema: Schema, changed: Schema, name: str, known: Known) -> list[str]:
    """What is wrong with the difference of a known change: its lines, and what its DDL makes of the original."""
    found = diff(schema, changed)
    lines = [c.summary for c in found.changes]
    if len(lines) != 1 or not lines[0].startswith(known.told):
        return [f"{name}: {known.statement[:150]} was told as {lines}, not as {known.told}"]
    made = await _after(original, found.ddl)
    if made is None:
        return [f"{name}: the DDL of the difference does not run: {found.ddl[:300]}"]
    return [f"{name}: the DDL of the difference leaves {c.summary}" for c in diff(changed, made).changes]


async def _after(conn: Connection, statements: str) -> Schema | None:
    """The schema once `statements` ran; they are taken back. None where they cannot run."""
    try:
        async with conn.transaction(force_rollback=True):
            await conn.execute(statements.encode())
            return await introspect(conn)
    except psycopg.Error:
        return None

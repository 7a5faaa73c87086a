"""A database full of things to break and traps to fall into, and a probe for whatever lasts."""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import psycopg

from neon_branch_mcp.postgres.sessions import LINGER

from .cases_again import AGAIN
from .cases_behind import BEHIND

# As the owner, who is no superuser.
_WORLD = """
CREATE TABLE canary (id serial PRIMARY KEY, v int NOT NULL);
INSERT INTO canary (v) VALUES (10), (20), (30);
CREATE TABLE legacy (id int PRIMARY KEY, u text);
INSERT INTO legacy SELECT g, 'u' || g FROM generate_series(1, 50) g;
CREATE TABLE users (id int PRIMARY KEY, name text, age int, old text, doc jsonb, at timestamptz DEFAULT now());
INSERT INTO users SELECT g, 'name' || g, g % 90, 'old', '{"a": 1}' FROM generate_series(1, 200) g;
CREATE TABLE orgs (id int PRIMARY KEY, name text);
INSERT INTO orgs VALUES (1, 'one'), (2, 'two');
CREATE SEQUENCE counter;
CREATE TABLE lobs (o oid);
INSERT INTO lobs SELECT lo_from_bytea(0, 'precious');

-- Traps: each takes a session's advisory lock, and writes a file where the caller may, so that any call of it shows, however it ends.
CREATE FUNCTION trap(n int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_advisory_lock(n);
  BEGIN
    EXECUTE format('COPY (SELECT 1) TO ''/tmp/trapped_%s_%s_%s''', current_setting('port'), current_database(), n);
  EXCEPTION WHEN insufficient_privilege THEN NULL; END;
  RETURN n;
END $$;
CREATE FUNCTION f_drop() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DROP TABLE canary; RETURN 1; END $$;
CREATE FUNCTION f_definer() RETURNS int LANGUAGE sql SECURITY DEFINER AS $$ SELECT trap(4710) $$;
CREATE PROCEDURE p_escape() LANGUAGE plpgsql AS $$ BEGIN COMMIT; DROP TABLE canary; END $$;
CREATE FUNCTION lower(n int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(4701) $$;
CREATE FUNCTION evil_step(state int, v int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(4704) $$;
CREATE AGGREGATE evil_agg(int) (SFUNC = evil_step, STYPE = int, INITCOND = '0');
CREATE FUNCTION evil_final(state int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(4706) $$;
CREATE AGGREGATE quiet_agg(int) (SFUNC = int4pl, STYPE = int, FINALFUNC = evil_final, INITCOND = '0');
CREATE FUNCTION evil_field(c canary) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(4711) $$;
CREATE FUNCTION evil_operator(a int, b int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(4712) $$;
CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, FUNCTION = evil_operator);
CREATE FUNCTION evil_check(v int) RETURNS boolean LANGUAGE sql VOLATILE AS $$ SELECT trap(4713) > 0 $$;
CREATE DOMAIN trapped AS int CHECK (evil_check(VALUE));
CREATE DOMAIN trapped_twice AS trapped;
CREATE TYPE trapped_pair AS (a trapped, b int);
CREATE TABLE typed (trapped trapped);
CREATE TYPE pair AS (a int, b int);
CREATE TABLE pairs (p pair);
INSERT INTO pairs VALUES ((1, 2)::pair);
CREATE FUNCTION evil_cast(p pair) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(4714) $$;
CREATE CAST (pair AS int) WITH FUNCTION evil_cast(pair) AS IMPLICIT;
CREATE VIEW trap_view AS SELECT id, trap(4715) AS t FROM canary;
CREATE VIEW trap_behind_view AS SELECT id FROM trap_view WHERE t > 0;
CREATE VIEW kill_view AS SELECT pg_terminate_backend(pid) AS done FROM pg_stat_activity WHERE application_name = 'bystander';
CREATE FUNCTION inlined() RETURNS int LANGUAGE sql STABLE AS $$ SELECT trap(4716) $$;
CREATE FUNCTION "Odd ""name"(n int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(4717) $$;
CREATE FUNCTION a_very_long_name_that_is_exactly_at_the_limit_of_sixty_three_b(n int) RETURNS int
    LANGUAGE sql VOLATILE AS $$ SELECT trap(4718) $$;
CREATE FUNCTION évil(n int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(4719) $$;
CREATE FUNCTION evil_window(state int, v int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(4720) $$;
CREATE FUNCTION defaulted(n int DEFAULT trap(4723)) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN n; END $$;
CREATE FUNCTION in_atomic() RETURNS int LANGUAGE sql STABLE BEGIN ATOMIC SELECT trap(4724); END;
CREATE FUNCTION no_arguments() RETURNS SETOF int LANGUAGE sql VOLATILE AS $$ SELECT trap(4721) $$;
CREATE FUNCTION variadic_trap(VARIADIC a int[]) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(4722) $$;
CREATE TABLE canary_rls (id int PRIMARY KEY, v int);
INSERT INTO canary_rls VALUES (1, 1);
ALTER TABLE canary_rls ENABLE ROW LEVEL SECURITY;
ALTER TABLE canary_rls FORCE ROW LEVEL SECURITY;
CREATE POLICY trap_policy ON canary_rls USING (trap(4705) > 0);
-- Liars: labelled harmless, and what they do is not in their text, or behind something else's name.
CREATE FUNCTION dynamic(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE r int; BEGIN EXECUTE 'SELECT tr' || 'ap(' || n || ')' INTO r; RETURN r; END $$;
CREATE FUNCTION dynamic_format(n int) RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE r int; BEGIN EXECUTE format('SELECT %s(%s)', reverse('part'), n) INTO r; RETURN r; END $$;
CREATE FUNCTION reads_a_view() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT max(t) FROM trap_behind); END $$;
CREATE FUNCTION uses_an_operator() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN 1 ### 2; END $$;
CREATE FUNCTION uses_a_cast() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN 5::trapped; END $$;
CREATE FUNCTION spaced(n int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN trap /* so */ (n); END $$;
CREATE FUNCTION lying(a int, b int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap(4963); END $$;
CREATE OPERATOR |#| (LEFTARG = int, RIGHTARG = int, FUNCTION = lying);
CREATE FUNCTION lying_index(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN EXECUTE 'SELECT 1'; RETURN 1; END $$;
CREATE TYPE pair2 AS (a int, b int);
CREATE FUNCTION same_pair(a pair2, b pair2) RETURNS boolean LANGUAGE sql VOLATILE AS $$ SELECT trap(4966) > 0 $$;
CREATE OPERATOR = (LEFTARG = pair2, RIGHTARG = pair2, FUNCTION = same_pair);
CREATE TABLE pairs2 (p pair2);
INSERT INTO pairs2 VALUES ((1, 2)::pair2);
CREATE AGGREGATE lying_agg(int) (SFUNC = lying, STYPE = int, INITCOND = '0');
CREATE FUNCTION lying_check(v int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap(4964) > 0; END $$;
CREATE DOMAIN quietly_trapped AS int CHECK (lying_check(VALUE));
CREATE DOMAIN killing AS int CHECK (pg_try_advisory_lock(4965) OR VALUE > 0);
CREATE FUNCTION takes_trapped(n trapped) RETURNS int LANGUAGE sql STABLE AS $$ SELECT 1 $$;
CREATE FUNCTION takes_a_killing(n killing) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN 1; END $$;
CREATE FUNCTION gives_trapped() RETURNS trapped LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN 5; END $$;
CREATE TABLE holds_pairs (p trapped_pair, a trapped[]);
CREATE VIEW shows_pairs AS SELECT p, a FROM holds_pairs;
CREATE TABLE indexed (v int, p pair2);
CREATE INDEX ON indexed ((lying_index(1) + v));
CREATE VIEW shows_indexed AS SELECT v FROM indexed;
CREATE VIEW trap_behind AS SELECT id, t FROM trap_view;
CREATE FUNCTION through_another() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN reads_a_view(); END $$;
CREATE FUNCTION harmless(n int) RETURNS int LANGUAGE sql STABLE AS $$ SELECT n + 1 $$;
CREATE VIEW plain_view AS SELECT id, name FROM users WHERE age > 20;
"""
# Statistics are to come from an attack alone.
_STILL = """
DO $$ DECLARE t regclass; BEGIN
FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
  EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', t);
END LOOP; END $$;
"""
WORLD = _WORLD + BEHIND + AGAIN + _STILL

# Catalogues whose rows are shared by the cluster or the database; every change of a row gives it a new place or a new xmin.
CATALOGUES = """pg_attribute pg_attrdef pg_auth_members pg_authid pg_cast pg_collation pg_constraint pg_conversion pg_database
pg_db_role_setting pg_default_acl pg_depend pg_description pg_enum pg_event_trigger pg_extension pg_foreign_data_wrapper
pg_foreign_server pg_foreign_table pg_inherits pg_init_privs pg_language pg_largeobject pg_largeobject_metadata pg_namespace pg_opclass
pg_operator pg_opfamily pg_parameter_acl pg_policy pg_proc pg_publication pg_publication_rel pg_replication_origin pg_rewrite
pg_seclabel pg_sequence pg_statistic_ext pg_subscription pg_tablespace pg_transform pg_trigger pg_ts_config pg_ts_dict pg_type
pg_user_mapping"""
# What is left out of these, autovacuum moves.
_ROWS = {
    "pg_class": "concat_ws('|', oid, relname, relnamespace, relkind, relowner, reloptions, relacl, relfilenode, relpersistence, "
    "relhasrules, relhastriggers, relrowsecurity)",
    "pg_index": "concat_ws('|', indexrelid, indrelid, indisvalid, indisclustered, indisreplident)",
    "pg_prepared_xacts": "gid",
    "pg_replication_slots": "slot_name",
}
_SETTINGS = """SELECT md5(string_agg(concat_ws('|', name, setting, sourcefile, sourceline), ' ' ORDER BY name, sourceline))
|| (SELECT timeline_id FROM pg_control_checkpoint()) || pg_conf_load_time() FROM pg_file_settings"""
_LOCKS = """SELECT coalesce(string_agg(concat_ws('|', locktype, relation::regclass, classid, objid, mode), ' ' ORDER BY classid, objid), '')
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE backend_type = 'client backend' AND (locktype = 'advisory' OR (locktype = 'relation' AND relation >= 16384))"""
ON_ITS_WAY = 2.0
"""Seconds; a read's own transaction takes thousandths."""
_STATISTICS = """SELECT concat((SELECT string_agg(concat(datname, stats_reset), ' ' ORDER BY datname) FROM pg_stat_database),
(SELECT stats_reset FROM pg_stat_bgwriter), (SELECT count(*) FROM pg_statistic WHERE starelid >= 16384))"""


async def rest() -> None:
    """Until the end of the last read's transaction, which goes with the next read if that comes at once, is on its way."""
    await asyncio.sleep(2 * LINGER)


def _catalogue_query() -> str:
    moved = [
        f"SELECT '{name}', md5(concat(count(*), sum(hashtext(concat(ctid, xmin))))) FROM {name}"
        for name in CATALOGUES.split()
    ]
    told = [f"SELECT '{name}', md5(string_agg({row}, ' ' ORDER BY {row})) FROM {name}" for name, row in _ROWS.items()]
    return " UNION ALL ".join(moved + told)


@dataclass(frozen=True)
class State:
    """What a second session sees; two of these differ when something lasted."""

    catalogue: str
    data: str
    sequences: str
    settings: str
    locks: str
    statistics: str
    bystander: str
    files: str
    traps: str

    def changed_since(self, before: "State") -> set[str]:
        return {f.name for f in fields(self) if getattr(self, f.name) != getattr(before, f.name)}


class Probe:
    """Looks from outside, as superuser, and keeps a bystander session that listens and can be killed."""

    def __init__(self, superuser_uri: str) -> None:
        self.uri = superuser_uri
        self.conn = psycopg.connect(superuser_uri, autocommit=True)
        self.trapped = f"trapped_{self.conn.info.port}_{self.conn.info.dbname}_*"
        self.bystander = self._stand_by()

    def _stand_by(self) -> psycopg.Connection[tuple[Any, ...]]:
        conn = psycopg.connect(self.uri, autocommit=True, application_name="bystander")
        conn.execute("LISTEN deploy; LISTEN evil; SET row_security = on")
        return conn

    def close(self) -> None:
        self.bystander.close()
        self.conn.close()
        for path in Path("/tmp").glob(self.trapped):
            path.unlink()

    def state(self) -> State:
        """Now. Sessions that were just closed may still be dropping their temporary tables; then it looks again."""
        while True:
            try:
                return self._state()
            except (psycopg.errors.UndefinedTable, psycopg.errors.SyntaxError):
                continue

    def _state(self) -> State:
        relations = self._column(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') "
            "AND relname NOT LIKE 'with@_%' ESCAPE '@' ORDER BY 1"  # these are traps for whoever plans a query of them
        )
        rows = " UNION ALL ".join(
            f"SELECT '{name}', md5(string_agg(x::text, ' ' ORDER BY x::text)) FROM {name} x" for name in relations
        )
        return State(
            catalogue=self._digest(_catalogue_query()),
            data=self._digest(rows),
            sequences=self._digest("SELECT schemaname, sequencename, last_value FROM pg_sequences"),
            settings=self._digest(_SETTINGS),
            locks=self._lasting_locks(),
            statistics=self._digest(_STATISTICS),
            bystander=self._bystander(),
            files=",".join(sorted(p.name for p in Path("/tmp").glob("pwn_*"))),
            traps=",".join(sorted(p.name for p in Path("/tmp").glob(self.trapped))),
        )

    def _lasting_locks(self) -> str:
        """What is held, but for the little while in which the end of a read's transaction is on its way."""
        until = time.monotonic() + ON_ITS_WAY
        row = self.conn.execute(_LOCKS.encode()).fetchone()
        while row != ("",) and time.monotonic() < until:
            time.sleep(0.005)
            row = self.conn.execute(_LOCKS.encode()).fetchone()
        assert row is not None
        return str(row[0])

    def _bystander(self) -> str:
        """Alive, and what it heard; a dead one is replaced so that the next attack is seen too."""
        try:
            self.bystander.execute("SELECT 1")
        except psycopg.Error as exc:
            self.bystander.close()
            self.bystander = self._stand_by()
            return f"killed: {exc.sqlstate}"
        heard = [n.payload for n in self.bystander.notifies(timeout=0)]
        return f"heard {heard}" if heard else "alive"

    def _column(self, query: str) -> list[str]:
        return [row[0] for row in self.conn.execute(query.encode())]

    def _digest(self, query: str) -> str:
        rows = sorted(map(repr, self.conn.execute(query.encode()).fetchall())) if query else []
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


@contextmanager
def world(owner_uri: str, superuser_uri: str) -> Iterator[Probe]:
    """The traps in a fresh database, and a probe for it."""
    with psycopg.connect(owner_uri, autocommit=True) as conn:
        conn.execute(WORLD.encode())
    probe = Probe(superuser_uri)
    try:
        yield probe
    finally:
        probe.close()

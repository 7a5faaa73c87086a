-- A migration that went half-way before may be completed under its name; one that is applied stays as it is.
INSERT INTO neon_branch_mcp.migrations AS m (name, version, checksum, sql, state, statements_done, applied_by, report)
VALUES (%(name)s, %(version)s, %(checksum)s, %(sql)s, %(state)s, %(done)s, %(who)s, %(report)s)
ON CONFLICT (name) DO UPDATE SET
    version = excluded.version, checksum = excluded.checksum, sql = excluded.sql, state = excluded.state,
    statements_done = excluded.statements_done, applied_at = pg_catalog.clock_timestamp(),
    applied_by = excluded.applied_by, report = excluded.report
WHERE m.state = 'partly_applied'

SELECT id, name, version, checksum, sql, state, statements_done, applied_at, applied_by, report
FROM neon_branch_mcp.migrations
WHERE %(name)s::text IS NULL OR name = %(name)s
ORDER BY id

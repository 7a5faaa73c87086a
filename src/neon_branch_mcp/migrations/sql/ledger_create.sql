CREATE SCHEMA IF NOT EXISTS neon_branch_mcp;
COMMENT ON SCHEMA neon_branch_mcp IS 'Migrations applied by neon-branch-mcp';
CREATE TABLE IF NOT EXISTS neon_branch_mcp.migrations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    version text,
    checksum text NOT NULL,
    sql text NOT NULL,
    state text NOT NULL CHECK (state IN ('applied', 'partly_applied')),
    statements_done integer NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    applied_by text NOT NULL,
    report jsonb NOT NULL
)

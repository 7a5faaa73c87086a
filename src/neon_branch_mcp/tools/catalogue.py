"""All tools, as one table."""

from . import branches, migrations, projects, schema, sql, verify
from .spec import ToolSpec

TOOLS: tuple[ToolSpec, ...] = (
    *branches.SPECS,
    *sql.SPECS,
    *schema.SPECS,
    *migrations.SPECS,
    *verify.SPECS,
    *projects.SPECS,
)

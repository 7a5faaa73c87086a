"""The MCP App: a page that hosts may show in place of a result's text. Never required; the text and the structure stay complete.

The page is one file without any outside part. It shows what a tool answered and calls nothing.
"""

from importlib.resources import files
from typing import Any

from mcp.server.apps import Apps

VIEW_URI = "ui://neon-branch-mcp/view.html"


def view_meta() -> dict[str, Any]:
    """What a tool says of itself when its result can be shown as a page."""
    return {"ui": {"resourceUri": VIEW_URI}}


def view_extension() -> Apps:
    """The extension that serves the page."""
    apps = Apps()
    html = files(__package__).joinpath("apps", "view.html").read_text(encoding="utf-8")
    apps.add_html_resource(
        VIEW_URI,
        html,
        name="view",
        title="Migration report and schema",
        description="Shows the result of apply_migration or describe_schema as a page.",
        prefers_border=True,
    )
    return apps

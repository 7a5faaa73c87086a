"""A schema as one self-contained HTML page for people: the picture, a list of tables to search, and every object's text."""

from html import escape

from .er_picture import anchor, picture
from .schema import Schema, SchemaObject, Table
from .schema_compact import compact
from .schema_page import counts
from .schema_parts import Context
from .schema_text import entry_of, extension_names

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --pale: #5d6b7a; --line: #d3dce6; --back: #fff; --box: #f6f9fc }
@media (prefers-color-scheme: dark) { :root { --ink: #e4ebf2; --pale: #9fb0c0; --line: #33404d; --back: #12181f; --box: #1a222b } }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back) }
header { padding: 1.2rem 2rem .4rem } h1 { font-size: 1.35rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
header p, .pale { color: var(--pale); margin: .2rem 0 }
main { padding: 0 2rem 3rem }
nav { position: sticky; top: 0; z-index: 1; padding: .4rem 2rem; background: var(--back) } pre { scroll-margin-top: 3.5rem }
#picture { border: 1px solid var(--line); border-radius: 6px; background: #fff; height: min(72vh, 900px); overflow: hidden; cursor: grab }
#picture:active { cursor: grabbing }
#picture > div { transform-origin: 0 0; width: max-content }
#picture svg { display: block } #picture .node { cursor: pointer; transition: opacity .15s }
#picture.seeking .node { opacity: .25 } #picture.seeking .node.hit { opacity: 1; filter: drop-shadow(0 0 5px #2f7dd1) }
.keys { float: right } button { font: inherit; padding: .1rem .6rem }
input { font: inherit; padding: .3rem .6rem; width: 18rem; border: 1px solid var(--line); border-radius: 4px }
input { background: var(--box); color: inherit }
pre { font: 13px/1.45 Menlo, Consolas, monospace; background: var(--box); border: 1px solid var(--line); border-radius: 6px }
pre { padding: .7rem .9rem; margin: .5rem 0; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere }
pre:target, pre.found { border-color: #2f7dd1; box-shadow: 0 0 0 1px #2f7dd1 }
"""

SCRIPT = """
const READABLE = 0.6;  // below that the columns' names cannot be read: begin at the corner, and fit only when asked to
const frame = document.getElementById("picture"), inner = frame?.firstElementChild;
let seek = () => {};
if (frame) {
  let scale = 1, x = 0, y = 0, from = null, moved = false;
  const show = () => { inner.style.transform = `translate(${x}px, ${y}px) scale(${scale})`; };
  const whole = () => Math.min(1.2, (frame.clientWidth - 16) / inner.offsetWidth, (frame.clientHeight - 16) / inner.offsetHeight);
  const at = (wanted) => { scale = wanted; x = Math.max(8, (frame.clientWidth - inner.offsetWidth * scale) / 2); y = 8; show(); };
  const fit = () => at(whole());
  const begin = () => at(Math.max(whole(), READABLE));
  const zoom = (factor, cx, cy) => { x = cx - (cx - x) * factor; y = cy - (cy - y) * factor; scale *= factor; show(); };
  frame.addEventListener("wheel", (e) => {
    e.preventDefault();
    const r = frame.getBoundingClientRect();
    zoom(e.deltaY < 0 ? 1.15 : 1 / 1.15, e.clientX - r.left, e.clientY - r.top);
  }, { passive: false });
  frame.addEventListener("pointerdown", (e) => { from = [e.clientX - x, e.clientY - y]; moved = false; });
  addEventListener("pointermove", (e) => { if (from) { moved = true; x = e.clientX - from[0]; y = e.clientY - from[1]; show(); } });
  addEventListener("pointerup", () => { from = null; });
  frame.addEventListener("click", (e) => {
    const node = e.target.closest(".node");
    if (node && !moved) location.hash = "text-" + encodeURIComponent(node.id.replace(/^table-/, ""));
  });
  for (const [id, act] of [["fit", fit], ["in", () => zoom(1.3, frame.clientWidth / 2, frame.clientHeight / 2)],
    ["out", () => zoom(1 / 1.3, frame.clientWidth / 2, frame.clientHeight / 2)]]) document.getElementById(id).onclick = act;
  addEventListener("resize", begin); begin();
  seek = (wanted) => {
    const hits = [...frame.querySelectorAll(".node")].filter((node) => {
      const hit = wanted && node.id.toLowerCase().replace(/^table-/, "").includes(wanted);
      node.classList.toggle("hit", Boolean(hit));
      return hit;
    });
    frame.classList.toggle("seeking", hits.length > 0);
    if (!hits.length) return;
    if (scale < READABLE) at(READABLE);
    const box = hits[0].getBoundingClientRect(), r = frame.getBoundingClientRect();
    x += r.left + r.width / 2 - box.left - box.width / 2; y += r.top + r.height / 2 - box.top - box.height / 2; show();
  };
}
document.getElementById("find").addEventListener("input", (e) => {
  const wanted = e.target.value.toLowerCase();
  seek(wanted);
  for (const pre of document.querySelectorAll("pre")) pre.hidden = !pre.textContent.toLowerCase().includes(wanted);
});
"""


LEGEND = (
    "An arrow leads from a foreign key to the table it refers to; dashed: the key may be null. "
    "Drag to move, wheel to zoom, click for the table."
)


def page(schema: Schema, *, title: str, graphviz: bool = True) -> str:
    """The page. Nothing is loaded from elsewhere; every name is escaped."""
    entries = [entry_of(o) for o in schema.objects() if getattr(o, "owned_by", None) is None]
    version = f"PostgreSQL {schema.server_version // 10000}.{schema.server_version % 10000}"
    extensions = extension_names(schema.extensions)
    facts = [version, counts(entries) or "empty", *([f"extensions: {', '.join(extensions)}"] if extensions else [])]
    drawing = picture(schema, graphviz=graphviz)
    figure = (
        f'<h2>Tables <span class="keys"><button id="out">−</button> <button id="in">+</button> <button id="fit">fit</button></span></h2>'
        f'<p class="pale">{LEGEND}</p><div id="picture"><div>{drawing}</div></div>'
        if drawing
        else ""
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<header><h1>{escape(title)}</h1><p>{escape(' · '.join(facts))}</p></header>"
        f'<nav><input id="find" type="search" placeholder="Find a table, column, type …" aria-label="Find"></nav><main>{figure}'
        f"<h2>Objects</h2>{_objects(schema)}</main><script>{SCRIPT}</script></html>"
    )


def _objects(schema: Schema) -> str:
    context = Context.of(schema)
    parts: list[str] = []
    current = None
    shown = [o for o in schema.objects() if getattr(o, "owned_by", None) is None]
    for obj in sorted(shown, key=lambda o: entry_of(o).key):
        if obj.schema != current:
            current = obj.schema
            parts.append(f"<h2>{escape(f'schema {current}' if current else 'of the whole database')}</h2>")
        parts.append(f"<pre{_id(obj)}>{escape(chr(10).join(compact(obj, context)))}</pre>")
    return "".join(parts)


def _id(obj: SchemaObject) -> str:
    if not isinstance(obj, Table):
        return ""
    return f' id="{escape(anchor((obj.schema, obj.name)).replace("table-", "text-", 1))}"'

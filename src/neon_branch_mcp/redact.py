"""Takes secrets out of text that is about to leave: messages, logs, the audit."""

import re

STARS = "**********"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(?:napi|nbm)_[A-Za-z0-9_-]+"), STARS),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"), rf"\1{STARS}"),
    (re.compile(r"(?i)\b(postgres(?:ql)?://[^\s:/@?#]*):[^\s@/]+@"), rf"\1:{STARS}@"),
    # libpq's key=value form, `?password=` of a URI, and `PASSWORD '…'` of SQL, with either quote, E'' or dollar quotes.
    (re.compile(r"(?i)\b(password\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&'\"]+)"), rf"\1{STARS}"),
    (re.compile(r"(?is)\b(password\s+)(?:[eu]?&?'(?:[^']|'')*'|\$(\w*)\$.*?\$\2\$)"), rf"\1'{STARS}'"),
)
_SIGNS = ("napi_", "nbm_", "bearer", "postgres", "password")
"""What a pattern matches holds one of these in some case; most texts hold none."""


def redact(text: str) -> str:
    """`text` with Neon API keys, bearer tokens and passwords (in connection strings and in SQL) replaced by stars."""
    folded = text.casefold()
    for sign in _SIGNS:
        if sign in folded:
            break
    else:
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text

"""Answers a client's first requests over stdio before anything else is imported; standard library only, and of that little.

Clients start a stdio server for every session, and some do not wait: Codex sends its first model request without our tools when
`tools/list` is late. Importing the SDK takes most of a second, so these answers come from a snapshot of what the real server says
(`snapshot.json`, made by `tools/snapshot`; a test holds the two equal). The real server is imported meanwhile in a thread; then it
takes over the pipe, is told of the handshake that was answered for it, and gets every request that the front left alone.

The front knows few settings: those that change the answers. What it does not fully understand it leaves to the real server, which
then answers everything itself. `dataclasses`, `pathlib` and `typing` are not imported: they take as long as all that this module does.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from .envelope import era_of, holds_half_a_pair, is_greeting, is_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SNAPSHOT = os.path.join(os.path.dirname(__file__), "snapshot.json")
PREFIX = "NEON_BRANCH_MCP_"
PATIENCE = 0.05
"""Seconds without a word from the client until the real server is imported all the same."""
YOUNG = 10_000
"""New objects after which the garbage collector looks among them. A call makes some hundreds, and next to no cycles."""
MOST_KEPT = 4 << 20
"""Bytes for the real server from which on no more is read until it is there."""
GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.EIO})
"""How reading and writing fail where nobody is at the other end."""


class Variant:
    """The settings that change the answers. `groups` None means every group."""

    def __init__(
        self,
        write_own: bool = False,
        pinned: bool = False,
        read_only: bool = False,
        groups: tuple[str, ...] | None = None,
    ) -> None:
        self.write_own = write_own
        self.pinned = pinned
        self.read_only = read_only
        self.groups = groups


class Handover:
    """The pipe as the front leaves it: lines the real server must see first, the start of an unfinished line, and the ids of
    requests that were answered already, whose second answer must not reach the client. `snapshot` goes on answering.
    """

    def __init__(
        self,
        input_fd: int,
        output_fd: int,
        lines: tuple[bytes, ...],
        rest: bytes,
        answered: frozenset[Any],
        closed: bool,
        snapshot: Snapshot | None = None,
    ) -> None:
        self.input_fd = input_fd
        self.output_fd = output_fd
        self.lines = lines
        self.rest = rest
        self.answered = answered
        self.closed = closed
        self.snapshot = snapshot


class Snapshot:
    """What the real server answers, by method, for one variant of the settings."""

    def __init__(self, document: Mapping[str, Any], variant: Variant) -> None:
        self._document = document
        self._variant = variant

    def line(self, message: Mapping[str, Any], greeted: bool) -> bytes | None:
        """The answer to a request, as a line, or None for what only the real server can answer. `greeted`: whether there was a
        handshake, without which the real server refuses all that is not stateless.
        """
        result = self._result(message, greeted)
        if result is None:
            return None
        try:
            return (
                f'{{"jsonrpc":"2.0","id":{json.dumps(message["id"], ensure_ascii=False)},"result":{result}}}\n'.encode()
            )
        except UnicodeEncodeError:  # an id that is no text: the real server says so
            return None

    def _result(self, message: Mapping[str, Any], greeted: bool) -> str | None:
        method, params = message.get("method"), message.get("params")
        params = {} if params is None else params
        if not is_request(message) or not isinstance(params, dict):
            return None
        era = era_of(params)
        if method == "initialize":
            found = self._document["initialize"].get(params["protocolVersion"]) if is_greeting(params) else None
        elif era is None:
            found = None
        elif method == "server/discover":
            found = self._document["discover"].get(era)
        elif method == "ping":
            found = "{}" if era == "" else None
        elif era == "" and not greeted:
            found = None
        elif isinstance(method, str) and method in self._document["lists"] and params.get("cursor") in (None, ""):
            found = self._list(method, era)
        else:
            found = None
        return found if isinstance(found, str) else None

    def _list(self, method: str, era: str) -> str | None:
        listed = self._document["lists"][method]
        if era not in listed["around"]:
            return None
        before, behind = listed["around"][era]
        return f"{before}{','.join(row[era] for row in self._rows(method, listed['rows']))}{behind}"

    def _rows(self, method: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, str]]:
        tools = [tool for tool in self._document["tools"] if self._offered(tool)]
        if method == "tools/list":
            return (tool["own" if self._variant.write_own else "json"] for tool in tools)
        names = {tool["name"] for tool in tools}
        return (row["json"] for row in rows if names.issuperset(row["needs"]))

    def _offered(self, tool: Mapping[str, Any]) -> bool:
        variant = self._variant
        if variant.pinned and tool["group"] == "projects":
            return False
        if variant.read_only and tool["writes"]:
            return False
        return variant.groups is None or tool["group"] in variant.groups


class Front:
    """Reads requests, answers what the snapshot knows, keeps the rest, until `ready` says that the real server can be handed the pipe."""

    def __init__(self, snapshot: Snapshot, input_fd: int, output_fd: int) -> None:
        self.snapshot = snapshot
        self.input_fd = input_fd
        self.output_fd = output_fd
        self.lines: list[bytes] = []
        self.answered: set[Any] = set()
        self.rest = b""
        self.call_waits = False
        """Whether a request came that only the real server can answer."""
        self._kept = 0
        self._tools_are_told = False

    def run(self, ready_fd: int, begin: Callable[[], None]) -> Handover:
        """Serve until something can be read from `ready_fd` or the client closes its end.

        `begin` is called once, when there is nothing left to say first: an import beside an answer takes most of the answer's time.
        """
        closed = begun = False
        while not closed:
            heard = [self.input_fd] if self._kept + len(self.rest) <= MOST_KEPT else []
            readable, _, _ = select.select([*heard, ready_fd], [], [], None if begun else PATIENCE)
            if self.input_fd in readable:
                data = read_some(self.input_fd, 1 << 16)
                closed = not data
                *whole, self.rest = (self.rest + data).split(b"\n")
                closed = not all(self._handle(line) for line in whole) or closed
            if not begun and (self.call_waits or self._tools_are_told or closed or not readable):
                begun = True
                begin()
            if ready_fd in readable:
                break
        lines, answered = tuple(self.lines), frozenset(self.answered)
        return Handover(self.input_fd, self.output_fd, lines, self.rest, answered, closed, self.snapshot)

    def _handle(self, line: bytes) -> bool:
        """Whether the client is still there."""
        try:
            message = json.loads(line.decode())  # of bytes, json would take UTF-16 too
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or (b"\\u" in line and holds_half_a_pair(message)):
            answer = None
        else:
            answer = self.snapshot.line(message, bool(self.answered))
        if answer is None or (message["method"] == "initialize" and message["id"] in self.answered):
            self._keep(line)
            self.call_waits |= not isinstance(message, dict) or "id" in message
            return True
        self._tools_are_told |= message["method"] == "tools/list"
        if message["method"] == "initialize":
            # The real server must see the handshake too; its own answer to it is dropped.
            self._keep(line)
            self.answered.add(message["id"])
        return _write_all(self.output_fd, answer)

    def _keep(self, line: bytes) -> None:
        self.lines.append(line)
        self._kept += len(line)


def read_some(fd: int, most: int) -> bytes:
    """What the client sent; nothing once it is gone. A socket that was closed with something unread, as Node's are, says so by an
    error, and so does a terminal.
    """
    try:
        return os.read(fd, most)
    except OSError as exc:
        if exc.errno in GONE:
            return b""
        raise


def _write_all(fd: int, data: bytes) -> bool:
    """Whether somebody was there to read it."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError as exc:
            if exc.errno in GONE:
                return False
            raise
    return True


def serve_behind_front(arguments: Sequence[str], load: Callable[[bool], Callable[[Handover], None]]) -> bool:
    """Serve stdio with the front before the real server; False, with nothing read, where no snapshot fits.

    `load` imports the real server, in a thread, and is told whether a call waits for it; what it returns is run with the pipe.
    """
    snapshot = fitting_snapshot(arguments, os.environ, os.curdir)
    if snapshot is None:
        return False
    input_fd, output_fd = take_standard_streams()
    ready_read, ready_write = os.pipe()
    loaded: list[Callable[[Handover], None]] = []
    failed: list[BaseException] = []

    def load_in_thread() -> None:
        try:
            loaded.append(load(front.call_waits))
        except BaseException as exc:  # noqa: BLE001 - carried to the main thread, which raises it
            failed.append(exc)
        os.write(ready_write, b".")

    gc.disable()  # an import makes a hundred thousand objects that stay: looking for garbage among them is a tenth of its time
    sys.setswitchinterval(0.0005)  # the import would else keep the interpreter from answering for 5 ms at a time
    front = Front(snapshot, input_fd, output_fd)
    handover = front.run(ready_read, threading.Thread(target=load_in_thread, daemon=True).start)
    if not loaded and not failed:
        os.read(ready_read, 1)
    sys.setswitchinterval(0.005)
    gc.freeze()
    gc.set_threshold(YOUNG)
    gc.enable()
    if failed:
        raise failed[0]
    loaded[0](handover)
    return True


def take_standard_streams() -> tuple[int, int]:
    """The pipe under new descriptors; 0 reads nothing and 1 goes to stderr, so that nothing strays into the protocol. One that whoever
    started us had closed is nothing too: the next file that is opened would else take its place.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    input_fd, output_fd = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return input_fd, output_fd


def fitting_snapshot(arguments: Sequence[str], env: Mapping[str, str], cwd: str | os.PathLike[str]) -> Snapshot | None:
    """The snapshot for this command line and environment, or None where there is none or it cannot be told."""
    if sys.platform == "win32":
        return None  # select() does not wait for pipes there
    try:
        variant = read_variant(arguments, env, cwd)
        with open(SNAPSHOT, encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if variant is None or document["sdk"] != _sdk_version():
        return None
    if not {t["group"] for t in document["tools"]}.issuperset(variant.groups or ()):
        return None  # the real server says which groups there are
    return Snapshot(document, variant)


def _sdk_version() -> str | None:
    """The version of the installed SDK by its folder's name: asking importlib.metadata takes longer than all of the front."""
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            if name.startswith("mcp-") and name.endswith(".dist-info"):
                return name[4:-10]
    return None


# Options of `serve` that change no answer, and whether they take a value.
_PLAIN_OPTIONS = {"--local": False, "--cloud": False, "--api-key-file": True, "--data-dir": True}
_TELLING_OPTIONS = {"--project-id": True, "--config": True, "--tools": True, "--read-only": False}
_YES, _NO = ("true", "1", "yes", "on", "y", "t"), ("false", "0", "no", "off", "n", "f", "none")


def read_variant(arguments: Sequence[str], env: Mapping[str, str], cwd: str | os.PathLike[str]) -> Variant | None:
    """The variant that the settings lead to, or None where the front cannot tell or there is no key (the real server says so)."""
    flags = read_flags(arguments)
    if flags is None:
        return None
    document = _read_file(flags.get("--config"), env, cwd)

    def setting(section: str, key: str) -> Any:
        return env.get(f"{PREFIX}{section}_{key}".upper(), (document.get(section) or {}).get(key))

    local = flags.get("--local") or ("--cloud" not in flags and _truth(setting("local", "enabled")))
    if not local and not _has_key(env, flags.get("--api-key-file") or setting("neon", "api_key_file"), setting):
        return None
    groups = flags.get("--tools") or setting("policy", "tools") or ()
    if isinstance(groups, str):
        groups = [g.strip() for g in groups.split(",") if g.strip()]
    return Variant(
        write_own=setting("policy", "write") == "own",
        pinned=bool(flags.get("--project-id") or setting("neon", "project_id")),
        read_only=flags.get("--read-only") or _truth(setting("policy", "look_only")),
        groups=tuple(groups) or None,
    )


def _has_key(env: Mapping[str, str], file: Any, setting: Callable[[str, str], Any]) -> bool:
    """Whether there is a key: one that is named but cannot be read is told by the real server, before it answers anything."""
    if env.get("NEON_API_KEY") or setting("neon", "api_key"):
        return True
    try:
        return bool(file) and os.stat(os.path.expanduser(file)).st_size > 0
    except OSError:
        return False


def _truth(value: Any) -> bool:
    """A switch as the settings' reader understands it. Raises ValueError for what it would refuse."""
    text = str(value).lower()
    if text not in (*_YES, *_NO):
        raise ValueError(value)
    return text in _YES


def read_flags(arguments: Sequence[str]) -> dict[str, Any] | None:
    """The options of `serve` by name; None for any that is not known here."""
    flags: dict[str, Any] = {}
    rest: Iterator[str] = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        takes_value = {**_PLAIN_OPTIONS, **_TELLING_OPTIONS}.get(name)
        if takes_value is None or (equals and not takes_value):
            return None
        flags[name] = (value if equals else next(rest, "")) if takes_value else True
        if not flags[name]:
            return None
    return None if {"--local", "--cloud"} <= flags.keys() else flags


def _read_file(named: str | None, env: Mapping[str, str], cwd: str | os.PathLike[str]) -> dict[str, Any]:
    """The configuration file in force as it stands; the search is that of `config.load`."""
    user = os.path.expanduser("~")
    home = env.get("XDG_CONFIG_HOME") or os.path.join(user, ".config")
    if sys.platform == "darwin":
        home = os.path.join(user, "Library", "Application Support")
    places = [os.path.join(cwd, "neon-branch-mcp.toml"), os.path.join(home, "neon-branch-mcp", "config.toml")]
    for path in [named] if named else places:
        if os.path.isfile(path):
            import tomllib  # only where there is a file: the front's start is counted in milliseconds

            with open(path, "rb") as file:
                return tomllib.load(file)
    if named:
        raise FileNotFoundError(named)
    return {}

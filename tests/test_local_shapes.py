"""Settings in a body: what is known and fits is kept, what is unknown is left out, what has another type is refused."""

from typing import Any

import pytest

from neon_branch_mcp.local.problems import Problem
from neon_branch_mcp.local.shapes import COMPUTE_SETTINGS, PROJECT_SETTINGS, Shape, shaped

from .conftest import PlaneApi


@pytest.mark.parametrize(
    ("shape", "given", "kept"),
    [
        (PROJECT_SETTINGS, {}, {}),
        (PROJECT_SETTINGS, {"hipaa": False, "unknown": [1], "": None}, {"hipaa": False}),
        (PROJECT_SETTINGS, {"hipaa": None, "quota": {"active_time_seconds": 5, "more": 1}}, {"quota": {"active_time_seconds": 5}}),
        (PROJECT_SETTINGS, {"allowed_ips": {"ips": ["10.0.0.0/8"]}}, {"allowed_ips": {"ips": ["10.0.0.0/8"]}}),
        (COMPUTE_SETTINGS, {"autoscaling_limit_min_cu": 1}, {"autoscaling_limit_min_cu": 1}),
        (COMPUTE_SETTINGS, {"type": "read_write", "suspend_timeout_seconds": 0}, {"suspend_timeout_seconds": 0}),
    ],
)  # fmt: skip
def test_what_is_known_and_fits_is_kept(shape: Shape, given: dict[str, Any], kept: dict[str, Any]) -> None:
    assert shaped(given, shape) == kept


@pytest.mark.parametrize(
    ("shape", "given", "said"),
    [
        (PROJECT_SETTINGS, {"hipaa": 0}, "hipaa should be true or false"),
        (PROJECT_SETTINGS, {"block_vpc_connections": ""}, "block_vpc_connections should be true or false"),
        (PROJECT_SETTINGS, {"preload_libraries": 1722}, "preload_libraries should be an object"),
        (
            PROJECT_SETTINGS,
            {"quota": {"active_time_seconds": True}},
            "active_time_seconds should be a whole number from 0 to 9223372036854775807",
        ),
        (PROJECT_SETTINGS, {"allowed_ips": {"ips": [1]}}, "each of ips should be a text"),
        (
            COMPUTE_SETTINGS,
            {"autoscaling_limit_max_cu": "2"},
            "autoscaling_limit_max_cu should be a number from 0.25 to 1024",
        ),
        (
            COMPUTE_SETTINGS,
            {"suspend_timeout_seconds": 1.5},
            "suspend_timeout_seconds should be a whole number from -1 to 604800",
        ),
        (
            COMPUTE_SETTINGS,
            {"suspend_timeout_seconds": -2},
            "suspend_timeout_seconds should be a whole number from -1 to 604800",
        ),
        (
            PROJECT_SETTINGS,
            {"quota": {"written_data_bytes": -1}},
            "written_data_bytes should be a whole number from 0 to 9223372036854775807",
        ),
        (PROJECT_SETTINGS, {"audit_log_level": "AAA"}, "audit_log_level should be one of base, extended, full"),
        (
            PROJECT_SETTINGS,
            {"maintenance_window": {"weekdays": [1]}},
            "maintenance_window needs weekdays, start_time, end_time",
        ),
        (
            PROJECT_SETTINGS,
            {"maintenance_window": {"weekdays": [8]}},
            "each of weekdays should be a whole number from 1 to 7",
        ),
        (PROJECT_SETTINGS, {"allowed_ips": {"ips": "all"}}, "ips should be a list"),
    ],
)
def test_what_has_another_type_is_refused_by_name(shape: Shape, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Problem) as refused:
        shaped(given, shape)
    assert (refused.value.status, refused.value.message) == (400, said)


def test_wrong_settings_of_a_project_and_a_compute_change_nothing(api: PlaneApi) -> None:
    before = api("GET", api.project)["project"]["settings"]
    refused = api.request("PATCH", api.project, json={"project": {"settings": {"hipaa": []}}})
    assert (refused.status_code, api("GET", api.project)["project"]["settings"]) == (400, before)
    endpoint = api("GET", f"{api.project}/endpoints")["endpoints"][0]
    wrong = {"endpoint": {"suspend_timeout_seconds": "soon"}}
    assert api.request("PATCH", f"{api.project}/endpoints/{endpoint['id']}", json=wrong).status_code == 400
    made = {"branch": {}, "endpoints": [{"type": "read_write", "autoscaling_limit_min_cu": "much"}]}
    assert api.request("POST", f"{api.project}/branches", json=made).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"branch": {"parent_id": {}}},
        {"branch": {"name": ["a"]}},
        {"branch": {"protected": "yes"}},
        {"branch": {"expires_at": 5}},
        {"branch": {"init_source": "nothing"}},
        {"branch": [], "endpoints": "read_write"},
        {"endpoints": [None]},
        {"annotation_value": {"for": 1}},
        {"annotation_value": {str(n): "" for n in range(51)}},
    ],
)
def test_a_new_branch_of_another_shape_is_refused_and_not_made(api: PlaneApi, body: dict[str, Any]) -> None:
    before = api("GET", f"{api.project}/branches/count")["count"]
    assert api.request("POST", f"{api.project}/branches", json=body).status_code == 400
    assert api("GET", f"{api.project}/branches/count")["count"] == before


@pytest.mark.parametrize("body", [{"source_branch_id": 1}, {"source_branch_id": "br-a-b", "source_lsn": []}, {}])
def test_a_restore_of_another_shape_is_refused(api: PlaneApi, body: dict[str, Any]) -> None:
    root = next(b for b in api("GET", f"{api.project}/branches")["branches"] if b["default"])
    assert api.request("POST", f"{api.project}/branches/{root['id']}/restore", json=body).status_code == 400

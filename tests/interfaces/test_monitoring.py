"""Catalogue, exporter, dashboard, Prometheus, Grafana and docs agree on names, addresses and paths."""

import ast
import configparser
import json
import re
from pathlib import Path

import pytest
import yaml
from tests.support.dashboards import queries

from swarm_core.metrics import CATALOGUE
from swarm_exporter.settings import ExporterSettings

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "monitoring"
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
NAMES = [metric.name for metric in CATALOGUE]
# names and labels as issue and community tools know them
REQUIRED = {
    "rlswarm_build_info": {"version"},
    "rlswarm_node_info": {"peer_id", "node_name", "model", "device", "node"},
    "rlswarm_component_up": {"component", "node"},
    "rlswarm_phase": {"phase", "node"},
    "rlswarm_rounds_total": {"result", "node"},
    "rlswarm_round_current": {"node"},
    "rlswarm_rounds_behind": {"node"},
    "rlswarm_last_progress_timestamp_seconds": {"node"},
    "rlswarm_train_reward_mean": {"source", "node"},
    "rlswarm_external_groups_total": {"result", "node"},
    "rlswarm_dht_peers": {"node"},
    "rlswarm_chain_submissions_total": {"kind", "result", "node"},
    "rlswarm_outbox_pending": {"kind", "node"},
    "rlswarm_peer_rewards": {"peer_id", "node"},
    "gensyn_rewards": {"peer_id", "node"},
    "gensyn_wins": {"peer_id", "node"},
    "gensyn_votes": {"peer_id", "node"},
}


def _names_in_source() -> set[str]:
    """Metric names that the exporter's code mentions; f-strings stand for the names that they can make."""
    found: set[str] = set()
    for path in (MONITORING / "swarm_exporter").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                pattern = "".join(
                    re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"(?:rewards|wins|votes)"
                    for part in node.values
                )
                if pattern.startswith(("rlswarm_", "gensyn_")):
                    found |= {name for name in NAMES if re.fullmatch(pattern, name)}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"^(?:rlswarm|gensyn)_[a-z_]+[a-z]$", node.value))
    return found


def test_names_are_unique_and_well_formed() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for metric in CATALOGUE:
        assert re.fullmatch(r"(rlswarm|gensyn)_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.help
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert (metric.kind == "info") == metric.name.endswith("_info")


@pytest.mark.parametrize("name", REQUIRED)
def test_required_names_have_their_labels(name: str) -> None:
    (metric,) = (metric for metric in CATALOGUE if metric.name == name)
    assert set(metric.labels) == REQUIRED[name]


def test_the_exporter_makes_exactly_the_catalogue() -> None:
    assert _names_in_source() == set(NAMES)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.name)
def test_dashboard_uses_catalogue_names_and_labels_only(dashboard: Path) -> None:
    labels = {metric.name: set(metric.labels) for metric in CATALOGUE}
    for query in queries(dashboard):
        assert query.metric_names(), query.panel
        unknown = query.metric_names() - set(NAMES)
        assert not unknown, f"{query.panel}: {unknown}"
        for name, matchers in re.findall(r"(\w+)\{([^}]*)\}", query.expr):
            used = set(re.findall(r"(\w+)\s*=~?", matchers))
            assert used <= labels[name], f"{query.panel}: {name} has no label {used - labels[name]}"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.name)
def test_dashboard_is_sound(dashboard: Path) -> None:
    document = json.loads(dashboard.read_text())
    provisioned = yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text())
    (source,) = provisioned["datasources"]
    panels = document["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["description"]
            assert panel["targets"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {source["uid"]}
    assert document["uid"]


def test_there_is_a_dashboard() -> None:
    assert [path.name for path in DASHBOARDS] == ["rl-swarm.json"]


def test_prometheus_scrapes_the_exporter_on_its_port() -> None:
    config = yaml.safe_load((MONITORING / "prometheus" / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    port = ExporterSettings.model_fields["exporter_port"].default
    assert job["static_configs"] == [{"targets": [f"exporter:{port}"]}]
    # one scrape is bounded by three stages: 2 s of sockets at most, 1 s of login, 1 s of chain
    assert int(config["global"]["scrape_timeout"].removesuffix("s")) >= 5


def test_grafana_reads_its_dashboards_from_where_they_are_mounted_and_calls_nobody() -> None:
    provider = yaml.safe_load((MONITORING / "grafana/provisioning/dashboards/rl-swarm.yml").read_text())
    ini = configparser.ConfigParser()
    ini.read(MONITORING / "grafana" / "grafana.ini")
    home = Path(ini["dashboards"]["default_home_dashboard_path"])
    assert provider["providers"][0]["options"]["path"] == str(home.parent)
    assert home.name in {path.name for path in DASHBOARDS}
    assert ini["auth.anonymous"]["org_role"] == "Viewer"
    for section, key in (
        ("analytics", "reporting_enabled"),
        ("analytics", "check_for_updates"),
        ("analytics", "check_for_plugin_updates"),
        ("news", "news_feed_enabled"),
        ("snapshots", "external_enabled"),
        ("users", "allow_sign_up"),
    ):
        assert ini[section][key] == "false", f"[{section}] {key}"
    assert ini["security"]["disable_initial_admin_creation"] == "true"


def test_docs_table_is_the_catalogue() -> None:
    """`| name | kind | labels | meaning |` rows of docs/monitoring.md, in the catalogue's order."""
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in (ROOT / "docs" / "monitoring.md").read_text().splitlines()
        if line.startswith(("| `rlswarm_", "| `gensyn_"))
    ]
    assert rows == [(f"`{metric.name}`", metric.kind, ", ".join(metric.labels), metric.help) for metric in CATALOGUE]


def test_docs_name_every_action() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text()
    for action in ("claim", "fund_account", "fix_chain_settings", "restore_account", "check_bootnodes", "set_clock"):
        assert f"| `{action}` |" in text

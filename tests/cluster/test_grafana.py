"""cluster/grafana/foresight.json: a dashboard that Grafana reads, of metrics that a sweep shows."""

import json
import re

from cluster_files import CLUSTER

from foresight.tuning.sweep_metrics import COUNTERS, GAUGES, exported_names

DASHBOARD = json.loads((CLUSTER / "grafana" / "foresight.json").read_text())
PANELS = DASHBOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
DECLARED_TAGS = {tag for _, tags in (*GAUGES.values(), *COUNTERS.values()) for tag in ("study", *tags)}


def test_every_metric_that_is_drawn_is_declared_and_every_declared_one_is_drawn():
    asked = " ".join([*EXPRESSIONS, *(variable["query"]["query"] for variable in variables("query"))])
    assert set(re.findall(r"\bray_\w+", asked)) == exported_names()


def test_tags_are_those_that_the_metrics_have():
    for expression in EXPRESSIONS:
        grouped = re.findall(r"by \(([^)]*)\)", expression)
        filtered = re.findall(r'(\w+)=~?"', expression)
        assert {*filtered, *(tag.strip() for group in grouped for tag in group.split(","))} <= DECLARED_TAGS


def test_what_grafana_needs_of_a_dashboard_and_its_panels_is_there():
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= set(DASHBOARD)
    assert DASHBOARD["schemaVersion"] >= 36  # panels of these types
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert {"id", "type", "title", "gridPos", "datasource", "targets", "fieldConfig", "options"} <= set(panel)
        assert panel["type"] in ("timeseries", "stat")
        assert panel["targets"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_no_two_panels_lie_on_one_another_and_none_beyond_the_edge():
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }  # fmt: skip
        assert not cells & taken
        assert all(0 <= x < 24 for x, _ in cells)
        taken |= cells


def test_the_variables_of_the_panels_are_there():
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS))) - {"__rate_interval"}
    assert used == {variable["name"] for variable in DASHBOARD["templating"]["list"]}


def test_any_grafana_can_take_it():
    """It names no installation: neither the number of a dashboard nor the identity of a data source."""
    assert "id" not in DASHBOARD
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
    assert [variable["query"] for variable in variables("datasource")] == ["prometheus"]


def variables(kind: str) -> list[dict]:
    return [variable for variable in DASHBOARD["templating"]["list"] if variable["type"] == kind]

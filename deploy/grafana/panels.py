"""Panels and rows, and how they become what Grafana reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what it shows, in which unit, and the queries with the names of their lines.

    Args:
        title: what.
        queries: expression and legend of each line.
        unit: as Grafana names it.
        text: what to make of it.
        width: in Grafana's columns, of 24.
        kind: as Grafana names it.
        is_stacked: whether the lines add up to something.
    """

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    text: str = ""
    width: int = 8
    kind: str = "timeseries"
    is_stacked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel] = field(default_factory=tuple)


def dashboard(uid: str, title: str, rows: Sequence[Row], *, is_of_one_service: bool) -> dict[str, Any]:
    """Return a dashboard as Grafana reads it.

    Args:
        uid: its name in addresses.
        title: its name for people.
        rows: what is on it, from top to bottom.
        is_of_one_service: whether its replicas can be chosen; ``$service`` then stands for the service.
    """
    variables: list[dict[str, Any]] = [{"name": "datasource", "type": "datasource", "query": "prometheus"}]
    if is_of_one_service:
        query = 'label_values(up{service="$service"}, instance)'
        instance = {"name": "instance", "type": "query", "datasource": _DATASOURCE, "query": query, "refresh": 2}
        variables.append({**instance, "includeAll": True, "allValue": ".*", "multi": True, "label": "replica"})
    return {
        "uid": uid,
        "title": title,
        "tags": ["retinue"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "graphTooltip": 1,
        "templating": {"list": variables},
        "links": [{"title": "Retinue", "type": "dashboards", "tags": ["retinue"], "asDropdown": True}],
        "panels": list(_placed(rows)),
    }


def _placed(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yield headings and panels, from left to right and from top to bottom."""
    panel_id = y = 0
    for row in rows:
        panel_id += 1
        yield {"id": panel_id, "type": "row", "title": row.title, "gridPos": {"x": 0, "y": y, "w": _COLUMNS, "h": 1}}
        y += 1
        x = 0
        height = 5 if all(panel.kind == "stat" for panel in row.panels) else 8
        for panel in row.panels:
            panel_id += 1
            if x + panel.width > _COLUMNS:
                x, y = 0, y + height
            yield _drawn(panel, panel_id, {"x": x, "y": y, "w": panel.width, "h": height})
            x += panel.width
        y += height


def _drawn(panel: Panel, panel_id: int, place: dict[str, int]) -> dict[str, Any]:
    targets: list[dict[str, Any]] = [
        {"refId": chr(ord("A") + index), "datasource": _DATASOURCE, "expr": expression, "legendFormat": legend}
        for index, (expression, legend) in enumerate(panel.queries)
    ]
    drawn: dict[str, Any] = {
        "id": panel_id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": targets,
    }
    if panel.kind == "timeseries":
        drawn["fieldConfig"]["defaults"] |= {"min": 0}
        if panel.is_stacked:
            drawn["fieldConfig"]["defaults"]["custom"] = {"stacking": {"mode": "normal"}, "fillOpacity": 25}
    elif panel.kind == "heatmap":
        drawn["options"] = {"calculate": False, "yAxis": {"unit": panel.unit}}
        targets[0]["format"] = "heatmap"
    elif panel.kind == "table":
        targets[0] |= {"format": "table", "instant": True}
        hidden: dict[str, dict[str, Any]] = {"excludeByName": {"Time": True}, "renameByName": {"Value": "replicas"}}
        drawn["transformations"] = [{"id": "organize", "options": hidden}]
    return drawn

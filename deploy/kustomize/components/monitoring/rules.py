"""Write deploy/prometheus/rules as an object for the Prometheus Operator: rules.yaml beside this file.

Run as `python deploy/kustomize/components/monitoring/rules.py` after a change of the rules; a test compares the two.
"""

from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).resolve().parents[3] / "prometheus" / "rules"


def prometheus_rule(folder: Path = RULES) -> dict[str, Any]:
    """Return the groups of all files of a folder, in the order of the files' names, as one PrometheusRule."""
    files = sorted(folder.glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "retinue"},
        "spec": {"groups": groups},
    }


if __name__ == "__main__":
    text = yaml.safe_dump(prometheus_rule(), sort_keys=False, width=120)
    Path(__file__).with_suffix(".yaml").write_text(f"# Made by rules.py from deploy/prometheus/rules.\n{text}")

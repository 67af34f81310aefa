"""The examples of deployments without their systems: valid files that name what there is."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"


def load(name: str) -> Any:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def test_the_cluster_of_kubernetes_has_what_the_operator_requires() -> None:
    """Required fields of the CRD ray.io/v1 RayCluster and of pod templates, as KubeRay documents them."""
    cluster = load("kuberay.yaml")
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", cluster["metadata"]["name"])
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    assert len(groups) >= 2
    images = set()
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            images.add(container["image"])
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    assert len(images) == 1  # head and workers must agree on Python, Ray and ivfuse
    for group in cluster["spec"]["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert group["groupName"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"ray[data]>={cluster['spec']['rayVersion'].removesuffix('.0')}" in str(project)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_script_of_slurm_is_valid_shell() -> None:
    done = subprocess.run(
        ["bash", "-n", str(DEPLOY / "slurm.sh")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_alerts_are_about_metrics_that_a_server_exports() -> None:
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from prometheus_client import generate_latest

    from ivfuse.server.settings import Settings
    from ivfuse.server.state import AppState

    metrics = AppState(Settings(workers=1)).metrics
    metrics.requests.labels("/api/fuse", "200").inc()
    metrics.seconds.labels("/api/fuse").observe(1)
    exported = generate_latest(metrics.registry).decode()
    rules = [rule for group in load("alerts.yml")["groups"] for rule in group["rules"]]
    assert all({"alert", "expr", "annotations"} <= rule.keys() for rule in rules)
    named = {name for rule in rules for name in re.findall(r"\bivfuse_\w+", rule["expr"])}
    known = set(re.findall(r"^(?:# TYPE )?(ivfuse_\w+)", exported, re.MULTILINE))
    assert named <= known
    assert load("prometheus.yml")["rule_files"] == ["alerts.yml"]
    (job,) = load("prometheus.yml")["scrape_configs"]
    assert f'job="{job["job_name"]}"' in rules[0]["expr"]

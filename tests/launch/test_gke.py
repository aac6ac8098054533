"""The JobSet for GKE: what its schema and Kubernetes' own say of it, and that it asks for the slice named."""

import json
import math
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from launch.gke.render import main
from podmeta.config.compose import compose_job
from podmeta.planning.topologies import parse_topology

SCHEMA = json.loads(Path(__file__).with_name("jobset_schema.json").read_text(encoding="utf-8"))
ARGUMENTS = ("--image", "registry.example/podmeta", "--claim", "runs", "experiment=bandit", "seed=3")


def rendered(capsys, *arguments):
    assert main([*arguments, *ARGUMENTS]) == 0
    return yaml.safe_load(capsys.readouterr().out)


def job_of(job_set):
    (replicated,) = job_set["spec"]["replicatedJobs"]
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, **replicated["template"]}


@pytest.mark.long
@pytest.mark.parametrize(
    ("topology", "hosts", "chips_of_a_host"),
    [
        ("v5e:1x1", 1, 1),
        ("v5e:2x4", 1, 8),
        ("v5e:4x4", 4, 4),
        ("v6e:16x16", 64, 4),
        ("v5p:2x2x1", 1, 4),
        ("v4:4x4x8", 32, 4),
    ],
)
@pytest.mark.parametrize("slices", [1, 3])
def test_manifests_are_valid_and_ask_for_the_slices(topology, hosts, chips_of_a_host, slices, capsys):
    job_set = rendered(capsys, "--topology", topology, "--slices", str(slices))
    jsonschema.validate(job_set, SCHEMA)
    job = job_of(job_set)
    kubernetes_validate.validate(job, "1.33", strict=True)

    assert job_set["spec"]["replicatedJobs"][0]["replicas"] == slices
    assert (job["spec"]["parallelism"], job["spec"]["completions"]) == (hosts, hosts)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"google.com/tpu": str(chips_of_a_host)}
    assert hosts * chips_of_a_host == math.prod(parse_topology(topology).size)
    assert pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"] == topology.partition(":")[2]

    command, *overrides = container["args"]
    trained = compose_job(overrides)
    assert (command, trained.experiment_name, trained.seed) == ("train", "bandit", 3)
    assert trained.run_dir.startswith(container["volumeMounts"][0]["mountPath"])
    assert trained.distributed.enabled == ("on" if hosts * slices > 1 else "off")


def test_the_schemas_see_what_is_wrong(capsys):
    job_set = rendered(capsys, "--topology", "v5e:4x4")
    job_set["spec"]["replicatedJobs"][0]["replica"] = 2
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job_set, SCHEMA)
    job = job_of(job_set)
    job["spec"]["paralelism"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, "1.33", strict=True)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--topology", "v5e:3x3"], "v5e:2x4"),
        (["--topology", "h100:8"], "v4, v5e, v5p, v6e"),
        (["--topology", "v5e:2x2", "seed=-1"], "seed=-1"),
    ],
)
def test_wrong_input_is_told(arguments, part, capsys):
    assert main([*arguments, *ARGUMENTS[:5]]) == 2
    said = capsys.readouterr()
    assert part in said.err and not said.out

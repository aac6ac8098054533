"""Writes the JobSet that runs a job on TPU slices of GKE, for `kubectl apply -f -`.

    python launch/gke/render.py --topology v5e:4x4 --image IMAGE --claim CLAIM experiment=bandit > job.yaml

All other arguments go to `podmeta train`. The image may also come from PODMETA_IMAGE. launch/README.md says
what the cluster needs.
"""

import argparse
import os
import sys
from typing import Any

import yaml

from podmeta.config.compose import compose_job
from podmeta.config.paths import path_override
from podmeta.errors import InputError
from podmeta.planning.topologies import Topology, parse_topology
from podmeta.streams import protect_streams
from podmeta.utf8 import restart_in_utf8_mode

ACCELERATORS = {
    "v4": "tpu-v4-podslice",
    "v5e": "tpu-v5-lite-podslice",
    "v5p": "tpu-v5p-slice",
    "v6e": "tpu-v6e-slice",
}
"""By product: GKE's label of its nodes."""

RUNS = "/runs"
"""Where the claim is mounted, with the run directory and the checkpoints for a restart."""


def main(arguments: list[str] | None = None) -> int:
    """Prints the manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--topology", required=True, help="a slice, such as v5e:4x4")
    parser.add_argument("--slices", type=int, default=1, help="how many of it")
    parser.add_argument("--name", help="of the JobSet; by default the experiment's")
    parser.add_argument("--image", default=os.environ.get("PODMETA_IMAGE"), help="made by launch/Dockerfile")
    parser.add_argument("--claim", required=True, help="a PersistentVolumeClaim that many nodes may write, for runs")
    parser.add_argument("--max-restarts", type=int, default=100, help="after preemptions and failures of nodes")
    options, overrides = parser.parse_known_args(arguments)
    if not options.image:
        parser.error("name an image: --image, or the variable PODMETA_IMAGE")
    try:
        job = compose_job(overrides)
        topology = parse_topology(options.topology)
        if topology.product.name not in ACCELERATORS:
            raise InputError(f"--topology {topology}: GKE's slices are those of {', '.join(ACCELERATORS)}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    name = options.name or job.experiment_name.replace("_", "-").lower()
    if not job.run_dir:
        overrides = [*overrides, path_override("run_dir", f"{RUNS}/{name}")]
    manifest = make_job_set(
        name=name,
        topology=topology,
        num_slices=options.slices,
        image=options.image,
        claim=options.claim,
        max_restarts=options.max_restarts,
        overrides=overrides,
    )
    yaml.safe_dump(manifest, sys.stdout, sort_keys=False, width=120)
    return 0


def make_job_set(
    *,
    name: str,
    topology: Topology,
    num_slices: int,
    image: str,
    claim: str,
    max_restarts: int,
    overrides: list[str],
) -> dict[str, Any]:
    """The manifest: one replicated job, whose replicas are slices and whose pods are the hosts of a slice.

    GKE tells each pod of the others by variables of its own, which JAX reads. A failed pod ends its job, and JobSet
    then starts all of them again, together: a slice works only whole.
    """
    num_chips_of_host = chips_of_host(topology)
    num_hosts = topology.num_chips // num_chips_of_host
    container = {
        "name": "podmeta",
        "image": image,
        "args": [
            "train",
            *(override.replace("$", "$$") for override in overrides),  # Kubernetes expands $(NAME), and makes $ of $$
            "distributed.enabled=on" if num_hosts * num_slices > 1 else "distributed.enabled=off",
        ],
        "resources": {
            "requests": {"google.com/tpu": str(num_chips_of_host)},
            "limits": {"google.com/tpu": str(num_chips_of_host)},
        },
        "volumeMounts": [{"name": "runs", "mountPath": RUNS}],
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 120,  # to save in
        "securityContext": {"runAsUser": 0},  # to whom a node's TPU belongs
        "nodeSelector": {
            "cloud.google.com/gke-tpu-accelerator": ACCELERATORS[topology.product.name],
            "cloud.google.com/gke-tpu-topology": "x".join(map(str, topology.size)),
        },
        "containers": [container],
        "volumes": [{"name": "runs", "persistentVolumeClaim": {"claimName": claim}}],
    }
    job = {
        "parallelism": num_hosts,
        "completions": num_hosts,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        "template": {"spec": pod},
    }
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {
            "name": name,
            # One slice per job: no two of them share a pool of nodes.
            "annotations": {"alpha.jobset.sigs.k8s.io/exclusive-topology": "cloud.google.com/gke-nodepool"},
        },
        "spec": {
            "failurePolicy": {"maxRestarts": max_restarts},
            "replicatedJobs": [{"name": "slice", "replicas": num_slices, "template": {"spec": job}}],
        },
    }


def chips_of_host(topology: Topology) -> int:
    """Chips of one node: 4 in all slices of several hosts; those of one host are whole, up to 8 chips."""
    single_hosts = {"v4": 4, "v5p": 4, "v5e": 8, "v6e": 8}
    return topology.num_chips if topology.num_chips <= single_hosts[topology.product.name] else 4


if __name__ == "__main__":
    restart_in_utf8_mode()
    protect_streams()
    sys.exit(main())

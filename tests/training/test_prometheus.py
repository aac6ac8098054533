"""The newest metrics, as Prometheus reads them."""

import socket
import urllib.error
import urllib.request

import pytest

from podmeta.config.schema import LoggingConfig
from podmeta.errors import InputError
from podmeta.storage.run_directory import RunDirectory
from podmeta.training.metrics import MetricsWriter
from podmeta.training.prometheus import PrometheusEndpoint

prometheus_client = pytest.importorskip("prometheus_client")


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def read(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#")}


def test_the_newest_row_is_served_on_loopback_until_the_job_ends(port, tmp_path):
    endpoint = PrometheusEndpoint(LoggingConfig(prometheus_port=port))
    assert endpoint.address[0] == "127.0.0.1"
    with RunDirectory(tmp_path, "experiment_name: x\n") as run, MetricsWriter(run, prometheus=endpoint) as metrics:
        assert read(port) == {}
        metrics.write({"update": 1, "fitness_mean": [0.25, 0.5], "lag.mean": 3, "note": "text"})
        metrics.write({"update": 2, "fitness_mean": [0.5, float("nan")]})
        served = read(port)
        assert (served["podmeta_update"], served["podmeta_fitness_mean_0"], served["podmeta_lag_mean"]) == (2, 0.5, 3)
        assert len(served) == 4
    with pytest.raises(urllib.error.URLError):
        read(port)


def test_a_port_in_use_is_refused(port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(InputError, match=f"logging.prometheus_port={port} .*cannot be served"):
            PrometheusEndpoint(LoggingConfig(prometheus_port=port))

"""A Prometheus endpoint with the newest row of metrics."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from podmeta.config.schema import LoggingConfig
from podmeta.errors import InputError
from podmeta.storage.files import reason

if TYPE_CHECKING:
    from prometheus_client import Gauge


class PrometheusEndpoint:
    """Serves the numbers of the newest row as gauges `podmeta_NAME`, from a thread of its own."""

    def __init__(self, config: LoggingConfig) -> None:
        """Starts to serve `config.prometheus_port` of `config.prometheus_address`.

        Raises:
          InputError: prometheus_client is not installed, or the address cannot be had.
        """
        try:
            import prometheus_client
        except ImportError as error:
            raise InputError(
                "logging.prometheus_port needs the package prometheus_client: pip install 'podmeta[prometheus]'"
            ) from error
        self._registry = prometheus_client.CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}
        address, port = config.prometheus_address, config.prometheus_port
        try:
            self._server, self._thread = prometheus_client.start_http_server(port, address, self._registry)
        except (OSError, OverflowError, UnicodeError) as error:
            raise InputError(
                f"logging.prometheus_port={port} of logging.prometheus_address={address} cannot be served: "
                f"{reason(error)}"
            ) from error

    @property
    def address(self) -> tuple[str, int]:
        """Where it is served."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def write(self, values: Iterable[tuple[str, float]]) -> None:
        """Shows these numbers from now on. Those that are missing keep their last value."""
        import prometheus_client

        for name, value in values:
            if name not in self._gauges:
                valid = re.sub(r"[^a-zA-Z0-9_]", "_", f"podmeta_{name}")
                self._gauges[name] = prometheus_client.Gauge(valid, f"{name} of metrics.jsonl", registry=self._registry)
            self._gauges[name].set(value)

    def close(self) -> None:
        """Ends the endpoint."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

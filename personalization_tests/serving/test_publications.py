"""New publications are taken into use beside requests, and broken ones are not."""

import gc
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from personalization_assets.errors import UserError
from personalization_assets.serving.service.loading import load
from personalization_assets.serving.settings import ServingSettings
from personalization_tests.serving import shop
from personalization_tests.serving.service import Service, running, settings_of

LIST = "/v1/customers/c_0042/recommendations"
VERSIONS = [f"{number:012x}" for number in range(1, 11)]


def wait_for(true: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def ready(service: Service) -> dict[str, Any]:
    answer: dict[str, Any] = service.get("/health/ready").json()
    return answer


def prepared(folder: Path, versions: list[str]) -> dict[str, Path]:
    """Publications of several versions, which differ in their number of customers too."""
    files = {}
    for number, version in enumerate(versions):
        files[version] = folder / version / "serving.duckdb"
        shop.publish(files[version], version, customers=shop.CUSTOMERS + number)
    return files


def put(file: Path, place: Path) -> None:
    """Replace the publication as a run does it."""
    copy = place.with_name("fresh.tmp")
    shutil.copy(file, copy)
    copy.replace(place)


def test_ten_publications_under_load_lose_no_request_and_mix_in_no_answer(tmp_path: Path) -> None:
    files = prepared(tmp_path / "made", VERSIONS)
    place = tmp_path / "serving.duckdb"
    put(files[VERSIONS[0]], place)
    seen: list[tuple[int, dict[str, Any]]] = []
    stop = threading.Event()

    def hammer(service: Service, contexts: list[dict[str, str]]) -> None:
        with httpx.Client(base_url=service.address, headers=service.client.headers) as client:
            while not stop.is_set():
                for context in contexts:
                    answer = client.get(LIST, params=context)
                    seen.append((answer.status_code, answer.json()))

    with running(settings_of(tmp_path, time_limit_ms=5_000)) as service:
        contexts: list[dict[str, str]] = [{}, {"viewed": "P003"}]
        clients = [threading.Thread(target=hammer, args=(service, contexts)) for _ in range(4)]
        for client in clients:
            client.start()
        try:
            wait_for(lambda: seen)
            for version in VERSIONS[1:]:
                put(files[version], place)
                # taken into use, and asked by somebody
                wait_for(
                    lambda wanted=version: (
                        wanted in {answer.get("model_version") for _, answer in seen[-100:]}
                    )
                )
        finally:
            stop.set()
            for client in clients:
                client.join()
        metrics = service.get("/metrics").text

    assert {status for status, _ in seen} == {200}
    assert {answer["served_by"] for _, answer in seen} == {"cached", "live"}
    assert {answer["model_version"] for _, answer in seen} == set(VERSIONS)
    assert 'personalize_publication_loads_total{outcome="in_use"} 10.0' in metrics
    expected = {
        version: {r["product_id"]: r["recommendation_id"] for r in shop.listed(file, "c_0042")}
        for version, file in files.items()
    }
    moments: dict[str, set[str]] = {version: set() for version in VERSIONS}
    for _, answer in seen:
        version = answer["model_version"]
        moments[version].add(answer["published_at"])
        ids = {i["product_id"]: i["recommendation_id"] for i in answer["items"]}
        common = ids.keys() & expected[version].keys()
        assert common
        assert all(ids[p] == expected[version][p] for p in common)
    assert all(len(moment) == 1 for moment in moments.values())


def test_the_file_of_the_last_publication_is_closed_when_nobody_uses_it(tmp_path: Path) -> None:
    first, second = VERSIONS[:2]
    files = prepared(tmp_path / "made", [first, second])
    place = tmp_path / "serving.duckdb"

    def open_files() -> list[str]:
        links = []
        for number in Path("/proc/self/fd").iterdir():
            try:
                links.append(str(number.readlink()))
            except OSError:
                continue
        return [link for link in links if link.startswith(str(place))]

    put(files[first], place)
    with running(settings_of(tmp_path)) as service:
        for version in (second, first, second):
            service.get(LIST, viewed="P003")
            service.get("/v1/customers/c_0042/profile")
            put(files[version], place)
            wait_for(lambda wanted=version: ready(service)["model_version"] == wanted)
            service.get("/v1/customers/c_0042/profile")
        gc.collect()
        wait_for(lambda: open_files() == [str(place)])


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "lacking"])
def test_a_broken_publication_changes_nothing_but_health_and_metrics(
    published: Path, tmp_path: Path, damage: str
) -> None:
    place, good = tmp_path / "serving.duckdb", published / "serving.duckdb"
    put(good, place)
    broken = tmp_path / "broken"
    if damage == "lacking":
        shop.publish(broken, without="serving.customer_products")
    else:
        whole = good.read_bytes()
        broken.write_bytes(
            {"cut": whole[: len(whole) // 2], "text": b"customer_id\n" * 4_000, "empty": b""}[
                damage
            ]
        )
    with running(settings_of(tmp_path)) as service:
        before = service.items(LIST)
        put(broken, place)
        wait_for(lambda: ready(service)["refused"])
        now = ready(service)
        assert now["status"] == "ready"
        assert "personalize run" in now["refused"]
        assert ("customer_products" in now["refused"]) == (damage == "lacking")
        assert service.items(LIST) == before
        assert service.get("/v1/customers/c_0042/profile").status_code == 200
        metrics = service.get("/metrics").text
        assert "personalize_publication_refused 1.0" in metrics
        assert 'personalize_publication_loads_total{outcome="refused"} 1.0' in metrics
        put(good, place)
        wait_for(lambda: ready(service)["refused"] is None)
        assert "personalize_publication_refused 0.0" in service.get("/metrics").text


def test_a_service_that_was_there_first_waits_for_the_first_publication(
    published: Path, tmp_path: Path
) -> None:
    with running(settings_of(tmp_path)) as service:
        answer = service.get("/health/ready")
        assert answer.status_code == 503
        assert "personalize run" in answer.json()["refused"]
        refused = service.get(LIST)
        assert refused.status_code == 503
        assert "personalize run" in refused.json()["detail"]
        put(published / "serving.duckdb", tmp_path / "serving.duckdb")
        wait_for(lambda: ready(service)["status"] == "ready")
        assert len(service.items(LIST)) == 8
        (tmp_path / "serving.duckdb").unlink()
        time.sleep(0.2)
        assert len(service.items(LIST)) == 8  # what was read stays good


def test_opening_the_same_path_again_reads_the_new_file_while_the_old_one_is_in_use(
    tmp_path: Path,
) -> None:
    first, second = VERSIONS[:2]
    files = prepared(tmp_path / "made", [first, second])
    place = tmp_path / "serving.duckdb"
    put(files[first], place)
    old = load(place, ServingSettings())
    put(files[second], place)
    new = load(place, ServingSettings())
    assert (old.model_version, new.model_version) == (first, second)
    assert (len(old.customers), len(new.customers)) == (shop.CUSTOMERS, shop.CUSTOMERS + 1)
    for publication in (old, new):
        customer = publication.find("c_0042")[1]
        assert publication.profile(customer, ["customer_id"]) == {"customer_id": "c_0042"}


def test_a_field_that_no_profile_has_is_named_before_anybody_asks_for_it(published: Path) -> None:
    wrong = ServingSettings(profile_fields=["given_name", "shoe_size"])
    with pytest.raises(UserError, match=r"serving\.profile_fields names 'shoe_size'"):
        load(published / "serving.duckdb", wrong)


def test_a_file_that_is_no_database_is_refused_by_duckdb_itself(tmp_path: Path) -> None:
    (tmp_path / "serving.duckdb").write_bytes(b"x" * 10_000)
    with pytest.raises(duckdb.Error):
        load(tmp_path / "serving.duckdb", ServingSettings())

"""What the recommendation service answers in, with a million customers, while it is given new data.

A load generator in a process of its own asks over loopback, on connections that stay open. Open
loop: requests start on a clock, whether or not earlier ones were answered, and their time runs from
when they were due; a service that stalls is not asked less. Closed loop: so many clients, each of
which asks again when it has its answer. Baseline in the same run: the same load on /health/live,
which costs what the framework, the id, the log line and the metrics cost.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from personalization_tests.benchmarks.measure import scratch, show

PORT = 8877
CLIENTS = 16
MIX = """
of 100 requests 45 for a customer's list, 40 for one with a cart and views (scored live), 5 with a
price limit, 5 for similar products, 5 for profile fields
"""

PUBLICATION = """
CREATE SCHEMA profiles; CREATE SCHEMA recommendations; CREATE SCHEMA identity;
CREATE SCHEMA serving; CREATE SCHEMA standardized;
CREATE TABLE standardized.products AS
SELECT 'shop' AS source, format('P{{:06d}}', i) AS product_id, 'Product number ' || i AS name,
    'Category ' || i % 40 AS category, 'Brand ' || i % 300 AS brand,
    5.0 + i % 400 AS price_base, 'https://shop.example.com/p/' || i AS url,
    'https://cdn.example.com/p/' || i || '.jpg' AS image_url
FROM range({products}) t(i);
CREATE TABLE recommendations.catalogue AS
SELECT product_id, name, category, substr(product_id, 7) <> '9' AS is_sellable,
    CASE WHEN substr(product_id, 7) <> '9' THEN row_number() OVER (ORDER BY product_id) END
        AS popularity_rank
FROM standardized.products;
CREATE TABLE profiles.golden_profiles AS
SELECT {customer} AS customer_id, 'Aoife' || i % 5000 AS given_name, 'Byrne' || i AS family_name,
    'p' || i || '@mail.example.com' AS email, 'en' AS language, 'IE' AS country,
    'gold' AS loyalty_tier, i AS loyalty_points, true AS consent_personalisation,
    'Category ' || i % 40 AS favourite_category, ['Category ' || i % 40] AS categories,
    'Brand ' || i % 300 AS top_brand, ['P000001', 'P000002'] AS last_products,
    ['P000003'] AS last_viewed_products,
    [{{'product_id': 'P000004', 'quantity': 1::BIGINT}}] AS open_cart, 'loyal' AS segment,
    'active' AS lifecycle, 'high' AS engagement_level, false AS is_vip,
    ['Category 1'] AS stated_categories, 'weekly' AS frequency,
    TIMESTAMP '2026-05-01' AS preferences_stated_at
FROM range({customers}) t(i);
CREATE TABLE identity.redirects AS
SELECT md5(i::VARCHAR) AS retired_id, {customer} AS customer_id FROM range({customers} // 20) t(i);
CREATE TABLE serving.customer_products AS
SELECT {customer} AS customer_id, format('P{{:06d}}', (i * 31 + k * k * 7919) % {products})
        AS product_id, 1.0 + k AS weight, k = 0 AS barred
FROM range({customers}) t(i), range(10) u(k) ORDER BY customer_id, product_id;
CREATE TABLE recommendations.top_products AS
SELECT {customer} AS customer_id, k + 1 AS rank,
    format('P{{:06d}}', (i * 17 + k * 104729) % {products}) AS product_id, 1.0 / (k + 1) AS score,
    'als' AS source, 'Because you bought Product number ' || (i + k) % {products} AS reason,
    '{version}' AS model_version,
    md5(i || '|' || k) AS recommendation_id
FROM range({customers}) t(i), range(12) u(k) ORDER BY customer_id, rank;
CREATE TABLE recommendations.similar_products AS
SELECT format('P{{:06d}}', i) AS product_id, k + 1 AS rank,
    format('P{{:06d}}', (i + k * k + 1) % {products}) AS similar_product_id, 0.9 / (k + 1) AS score,
    'model' AS source
FROM range({products}) t(i), range(12) u(k);
"""
CUSTOMER = "'c_' || substr(md5(i::VARCHAR), 1, 16)"
VERSIONS = ("aaaaaaaaaaaa", "bbbbbbbbbbbb")


def publications(folder: Path, customers: int, products: int) -> tuple[Path, Path]:
    """Two publications that differ in the version of their model."""
    from personalization_assets.warehouse import copy_to, tables

    first, second = folder / "first.duckdb", folder / "second.duckdb"
    with duckdb.connect(config={"threads": 2, "memory_limit": "8GB"}) as con:
        con.execute("SET enable_progress_bar = false")
        con.execute(
            PUBLICATION.format(
                customers=customers,
                products=products,
                customer=CUSTOMER,
                version=VERSIONS[0],
            )
        )
        model_tables(con)
        copy_to(con, first, tables(con))
    shutil.copy(first, second)
    with duckdb.connect(str(second)) as con:
        for table in ("als_model", "als_factors WHERE side = 'product'"):
            name, *where = table.split(" ", 1)
            con.execute(
                f"UPDATE recommendations.{name} SET model_version = '{VERSIONS[1]}'"
                f" {where[0] if where else ''}"
            )
    return first, second


def model_tables(con: duckdb.DuckDBPyConnection) -> None:
    """A model of 64 factors, trained on the interactions of some of the customers."""
    from personalization_assets.recommendations import models
    from personalization_assets.recommendations.matrix import to_matrix

    pairs = con.sql("FROM serving.customer_products LIMIT 300_000").pl()
    recipe = models.Recipe.of("als", 60.0, 0.3, models.ALGORITHMS["als"].defaults)
    rows = models.fit(to_matrix(pairs), recipe, seed=1, threads=2).rows()
    con.register("rows", rows.to_arrow())
    con.execute(
        f"CREATE TABLE recommendations.als_factors AS SELECT '{VERSIONS[0]}' AS model_version, *"
        " FROM rows"
    )
    con.unregister("rows")
    con.execute(
        f"CREATE TABLE recommendations.als_model AS SELECT '{VERSIONS[0]}' AS model_version,"
        " true AS is_current, 'als' AS algorithm, ? AS recipe",
        [recipe.to_json()],
    )


@contextmanager
def service(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`personalize serve` on a data folder, and a key for it."""
    from personalization_assets.serving.service.keys import SCOPES, KeyFile, keys_file
    from personalization_assets.settings import Settings

    keys = KeyFile(keys_file(Settings(data_dir=folder)))
    _, key = keys.create("load", SCOPES, datetime.now(UTC), rate_limit="1000000/second")
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "personalization_assets.cli", "serve", "--port", str(PORT)],
            env={**os.environ, "PERSONALIZE_DATA_DIR": str(folder)},
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(lambda: ready()["status"] == "ready" or process.poll() is not None, 300)
            if process.poll() is not None:
                raise RuntimeError((folder / "service.log").read_text(encoding="utf-8"))
            yield process, key
        finally:
            process.terminate()
            process.wait()


def ready() -> dict[str, Any]:
    """What /health/ready says."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health/ready", timeout=5) as answer:
            said: dict[str, Any] = json.load(answer)
            return said
    except OSError:
        return {"status": "not there", "model_version": None}


def wait_for(true: Any, seconds: float) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError("the service did not get there in time; see its log")
        time.sleep(0.1)


@dataclass
class Outcome:
    """What the answers to a load were."""

    seconds: float = 0.0
    cpu: float = 0.0
    times: list[float] = field(default_factory=list)
    errors: int = 0
    live: int = 0
    lists: int = 0
    versions: dict[str, int] = field(default_factory=dict)

    def row(self, name: str) -> list[str]:
        """Cells of a table."""
        ms = np.array(self.times or [np.nan]) * 1000
        p50, p99, p999 = np.percentile(ms, [50, 99, 99.9])
        share = f"{self.live / self.lists:.0%}" if self.lists else "-"
        cpu = f"{self.cpu / len(self.times) * 1000:.2f}"
        rate = f"{len(self.times) / self.seconds:,.0f}"
        figures = [f"{v:.1f}" for v in (p50, p99, p999, ms.max())]
        return [name, f"{len(self.times):,}", rate, *figures, cpu, share, str(self.errors)]


COLUMNS = [
    "load", "requests", "req/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "CPU ms each", "live",
    "errors",
]  # fmt: skip


class Client:
    """As much of HTTP/1.1 as it takes to ask and to time answers."""

    def __init__(self, key: str, customers: int, products: int, mixed: bool, seed: int) -> None:
        self._head = f"Host: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
        self._customers, self._products, self._mixed = customers, products, mixed
        self._chance = np.random.default_rng(seed)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.outcome = Outcome()

    def _path(self) -> str:
        import hashlib

        if not self._mixed:
            return "/health/live"
        kind, who, *what = self._chance.integers(0, 2**31, 5).tolist()
        number = hashlib.md5(str(who % self._customers).encode()).hexdigest()[:16]
        customer = f"/v1/customers/c_{number}"
        first, second, third = (f"P{w % self._products:06d}" for w in what)
        match kind % 100:
            case k if k < 45:
                return f"{customer}/recommendations?n=8"
            case k if k < 85:
                return f"{customer}/recommendations?n=8&cart={first}&viewed={second}&viewed={third}"
            case k if k < 90:
                return f"{customer}/recommendations?n=8&max_price=120"
            case k if k < 95:
                return f"/v1/products/{first}/similar"
            case _:
                return f"{customer}/profile?fields=given_name,favourite_category,loyalty_points"

    async def ask(self, due: float) -> None:
        """One request; its time runs from when it was due."""
        request = f"GET {self._path()} HTTP/1.1\r\n{self._head}".encode()
        try:
            reader, writer = self._idle.pop() if self._idle else await connect()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            self.outcome.errors += 1
            return
        self.outcome.times.append(time.perf_counter() - due)
        self._idle.append((reader, writer))
        if not head.startswith(b"HTTP/1.1 200"):
            self.outcome.errors += 1
        elif b"/recommendations" in request:
            self.outcome.lists += 1
            self.outcome.live += b'"served_by":"live"' in body
            version = body.split(b'"model_version":"')[1][:12].decode()
            self.outcome.versions[version] = self.outcome.versions.get(version, 0) + 1


async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that stays open."""
    return await asyncio.open_connection("127.0.0.1", PORT)


async def open_loop(client: Client, rate: float, seconds: float) -> None:
    """So many requests a second, on a clock."""
    start = time.perf_counter() + 0.1
    asked = set()
    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(client.ask(due))
        asked.add(task)
        task.add_done_callback(asked.discard)
    await asyncio.gather(*asked)


async def closed_loop(client: Client, clients: int, seconds: float) -> None:
    """So many clients, each with one request at a time."""
    end = time.perf_counter() + seconds

    async def one() -> None:
        while (now := time.perf_counter()) < end:
            await client.ask(now)

    await asyncio.gather(*(one() for _ in range(clients)))


async def steady(client: Client, rate: float, seconds: float) -> float:
    """Open connections and warm up on both sides, then measure; gives the seconds measured."""
    await closed_loop(client, CLIENTS, 0.5)
    client.outcome = Outcome()
    started = time.perf_counter()
    await (open_loop(client, rate, seconds) if rate else closed_loop(client, CLIENTS, seconds))
    return time.perf_counter() - started


def generate(out: Any, mixed: bool, rate: float, seconds: float, *about: Any) -> None:
    """The load generator: runs in a process of its own and sends what it saw."""
    import uvloop

    client = Client(*about, mixed=mixed, seed=1)
    seconds = uvloop.run(steady(client, rate, seconds))
    client.outcome.seconds = seconds
    out.send(client.outcome)


def loaded(pid: int, mixed: bool, rate: float, seconds: float, *about: Any) -> Outcome:
    """Put the service with this process id under a load; rate 0 is closed loop."""
    spent = cpu_seconds(pid)
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=generate, args=(theirs, mixed, rate, seconds, *about))
    process.start()
    outcome: Outcome = ours.recv()
    outcome.cpu = cpu_seconds(pid) - spent
    process.join()
    return outcome


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int, name: str) -> str:
    """A line of /proc/<pid>/status in megabytes: VmRSS now, VmHWM at its peak."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return f"{int(status.split(f'{name}:')[1].split()[0]) / 1024:,.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=200.0)
    args = parser.parse_args()
    with scratch() as folder:
        first, second = publications(folder, args.customers, args.products)
        os.sync()  # what was just written must not be on its way to the disk while we measure
        size = first.stat().st_size / 1e6
        first.replace(folder / "serving.duckdb")
        with service(folder) as (process, key):
            took = Path(folder / "service.log").read_text(encoding="utf-8")
            load_seconds = next(
                json.loads(line)["seconds"] for line in took.splitlines() if "in use" in line
            )
            print(
                f"\n{args.customers:,} customers, {args.products:,} products x 64 factors: a file "
                f"of {size:,.0f} MB, read in {load_seconds} s into {memory(process.pid, 'VmRSS')}."
            )
            about = (key, args.customers, args.products)
            loaded(process.pid, True, 50, 3, *about)  # warm
            rows = [
                loaded(process.pid, False, args.rate, args.seconds, *about).row(
                    "open loop, /health/live"
                ),
                loaded(process.pid, True, args.rate, args.seconds, *about).row("open loop, mixed"),
            ]

            def replace() -> None:
                time.sleep(min(3.0, args.seconds / 4))
                second.replace(folder / "serving.duckdb")

            publishing = threading.Thread(target=replace)
            publishing.start()
            outcome = loaded(process.pid, True, args.rate, args.seconds, *about)
            publishing.join()
            rows.append(outcome.row("open loop, mixed, while a new version is published"))
            seen = ", ".join(f"{n:,} by {v}" for v, n in sorted(outcome.versions.items()))
            rows += [
                loaded(process.pid, False, 0, args.seconds / 2, *about).row(
                    f"{CLIENTS} clients, /health/live"
                ),
                loaded(process.pid, True, 0, args.seconds / 2, *about).row(
                    f"{CLIENTS} clients, mixed"
                ),
            ]
            now, peak = memory(process.pid, "VmRSS"), memory(process.pid, "VmHWM")
    show(f"Loopback load; mixed: {' '.join(MIX.split())}", COLUMNS, rows)
    print(f"\nLists while it was published: {seen}. Memory {now}, at its peak {peak}.")


if __name__ == "__main__":
    main()

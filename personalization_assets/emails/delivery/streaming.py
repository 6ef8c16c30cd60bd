"""Reading whole mails a few at a time, whatever a query joins them with."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

CHUNK_ROWS = 256


@contextmanager
def streaming(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Within it, mails on the left of a join stream past what is on its right, in their own order.

    DuckDB takes the side that it thinks smaller into memory, which may be 3 GB of HTML for 100,000
    mails; and only one thread keeps the order without a sort.
    """
    before = con.execute(
        "SELECT current_setting('threads'), current_setting('disabled_optimizers')"
    ).fetchall()
    threads, disabled = before[0]
    con.execute("SET threads = 1")
    con.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    try:
        yield
    finally:
        con.execute(f"SET threads = {threads}")
        con.execute(f"SET disabled_optimizers = '{disabled}'")

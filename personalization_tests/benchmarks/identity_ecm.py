"""recordlinkage's unsupervised classifier on a file of records; prints its cost as JSON.

Runs in an environment of its own (see `identity_rivals`), so it imports nothing of this project:
`python identity_ecm.py PLAN.json`, where the plan names records, out, blocks, exact and similar
columns, and how much memory and CPU time it may take.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped,unused-ignore]
import recordlinkage as rl  # type: ignore[import-not-found,unused-ignore]

SIMILAR = 0.85


def _plain(value: object) -> str:
    return str(value).lower()


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    limit = plan["memory_gb"] << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (plan["cpu_seconds"], plan["cpu_seconds"]))
    ready = {"ready_seconds": time.monotonic(), "ready_cpu": sum(os.times()[:2])}
    records = pd.read_parquet(plan["records"])
    for column in records.columns:
        if pd.api.types.is_object_dtype(records[column]):
            records[column] = records[column].map(_plain, na_action="ignore")
    index = rl.Index()
    for block in plan["blocks"]:
        index.block(block)
    pairs = index.index(records)
    compare = rl.Compare()
    for column in plan["exact"]:
        compare.exact(column, column, label=column)
    for column in plan["similar"]:
        compare.string(column, column, method="jarowinkler", threshold=SIMILAR, label=column)
    features = compare.compute(pairs, records)
    linked = rl.ECMClassifier().fit_predict(features)
    left, right = (np.asarray(linked.get_level_values(i), np.int64) for i in (0, 1))
    np.savez(plan["out"], left=left, right=right)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**ready, "peak_mb": peak, "pairs": len(pairs)}))


if __name__ == "__main__":
    main()

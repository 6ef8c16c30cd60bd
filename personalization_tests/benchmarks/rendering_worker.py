"""One of the processes that render a file of contexts: `rendering_worker FOLDER NUMBER OF`.

Prints how many mails it rendered, and its peak memory in MB.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from personalization_assets.emails import liquid_batch
from personalization_assets.emails.storage import write_parquet
from personalization_tests.benchmarks import mails
from personalization_tests.benchmarks.measure import _peak_mb
from personalization_tests.benchmarks.rendering import CHUNK, SCHEMA


def main() -> None:
    folder, number, of = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    pa.set_cpu_count(1)
    parsed = mails.environment().from_string(mails.html())
    template = liquid_batch.compile(parsed, mails.contract(), mails.CONSTANTS)

    def rendered() -> Iterator[pa.RecordBatch]:
        with (
            pa.memory_map(str(folder / "contexts.arrow")) as source,
            pa.ipc.open_file(source) as reader,
        ):
            for place in range(number, reader.num_record_batches, of):
                batch = reader.get_batch(place)
                for start in range(0, batch.num_rows, CHUNK):
                    part = batch.slice(start, CHUNK)
                    ids = part.column("cart").field("id")
                    texts = template.render(part).column("text")
                    yield pa.RecordBatch.from_arrays([ids, texts], schema=SCHEMA)

    count = write_parquet(folder / f"{number}.parquet", rendered(), SCHEMA)
    print(count, _peak_mb())


if __name__ == "__main__":
    main()

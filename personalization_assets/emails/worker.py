"""A process that renders parts of a batch: `python -m personalization_assets.emails.worker`.

It reads jobs from its standard input and answers each on its standard output, both as pickles, and
ends with its input. Nothing else is shared with the process that started it, so that neither its
threads nor its open warehouse are in the way. `building.render_parts` starts as many as the
settings say; a small batch is rendered without.
"""

import pickle
import sys
import traceback

import pyarrow as pa

from personalization_assets.emails.jobs import Answer, Bench, Job
from personalization_assets.errors import UserError


def main() -> None:
    """Answer jobs until the input ends."""
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    pa.set_cpu_count(1)
    bench = Bench()
    while True:
        try:
            job: Job = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = bench.render(job)
        except UserError as error:
            answer = Answer(job, refusal=str(error))
        except Exception as error:
            # The text of an error may quote a customer's data; where it happened does not.
            where = "".join(traceback.format_tb(error.__traceback__))
            answer = Answer(job, failure=f"{type(error).__name__} at\n{where}")
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main()

"""The service's log: one line of JSON for each event, without anything about a person.

Lines carry the template of a path, never the path, and the id of a key, never the key.
"""

import datetime as dt
import json
import logging
import sys

LOG = logging.getLogger("personalize.service")


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time (UTC), level, event, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        return json.dumps(line, ensure_ascii=False, default=str)


def to_stdout() -> None:
    """Send the service's log to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    LOG.handlers = [handler]
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


def say(event: str, **fields: object) -> None:
    """Log an event. Never personal data."""
    LOG.info(event, extra={"fields": fields})


def warn(event: str, **fields: object) -> None:
    """Log an event that somebody should look at. Never personal data."""
    LOG.warning(event, extra={"fields": fields})


def place_of(error: BaseException) -> str:
    """The kind of an error and where it happened, without its text: that may quote data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    code = trace.tb_frame.f_code
    return f"{type(error).__name__} in {code.co_name}, line {trace.tb_lineno}"

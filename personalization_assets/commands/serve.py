"""`personalize serve`: the recommendation service, and the keys of those who may ask it."""

import datetime as dt
import ipaddress
import os
import socket
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from personalization_assets.errors import UserError
from personalization_assets.settings import Settings, load_settings


@click.group(invoke_without_command=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on")
@click.option("--port", default=8800, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option("--no-auth", is_flag=True, help="Ask for no keys; on this machine only")
@click.pass_context
def serve(ctx: click.Context, host: str, port: int, workers: int, no_auth: bool) -> None:
    """Answer recommendations, similar products and profiles over HTTP.

    Reads the published copy (data/serving.duckdb) and takes a newer one into use by itself.
    """
    if ctx.invoked_subcommand is not None:
        return
    settings_file: Path | None = ctx.obj
    settings = load_settings(settings_file)
    if no_auth and not _is_loopback(host):
        raise UserError(
            f"--no-auth works on this machine only, and {host} can be reached from others: "
            "leave it out, or listen on 127.0.0.1."
        )
    if settings_file is not None:
        os.environ["PERSONALIZE_SETTINGS"] = str(settings_file)
    with _listen(host, port) as listener:
        _answer(settings, listener, workers, no_auth)


@serve.group()
def keys() -> None:
    """Make, show and end API keys."""


@keys.command()
@click.option("--name", required=True, help="Who uses it, like shop")
@click.option(
    "--scopes",
    required=True,
    help="What it is for: recommendations, profile, preferences, metrics; with commas",
)
@click.option("--expires", help="Last moment it is good for, UTC, like 2027-01-31")
@click.option("--rate-limit", help="In place of the setting serving.rate_limit, like 500/second")
@click.pass_obj
def create(
    settings_file: Path | None, name: str, scopes: str, expires: str | None, rate_limit: str | None
) -> None:
    """Make a key. It is shown once."""
    from personalization_assets.serving.service.keys import KeyFile, keys_file
    from personalization_assets.serving.settings import ServingSettings

    if rate_limit is not None:
        try:
            ServingSettings(rate_limit=rate_limit)
        except ValueError:
            raise UserError(
                f"--rate-limit {rate_limit!r} is not a limit: write it like 500/second."
            ) from None
    chosen = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    ends = _moment(expires) if expires else None
    file = KeyFile(keys_file(load_settings(settings_file)))
    key, text = file.create(name, chosen, dt.datetime.now(dt.UTC), ends, rate_limit)
    click.echo(f"Key {key.id} for {key.name}: {', '.join(key.scopes)}.", err=True)
    click.echo("It is shown only now; keep it where secrets are kept:", err=True)
    click.echo(text)


@keys.command("list")
@click.pass_obj
def list_keys(settings_file: Path | None) -> None:
    """Show all keys, without their secrets."""
    from personalization_assets.serving.service.keys import KeyFile, keys_file

    now = dt.datetime.now(dt.UTC)
    table = Table("id", "name", "scopes", "state", "created", "expires", "limit", box=None)
    for key in KeyFile(keys_file(load_settings(settings_file))).all():
        table.add_row(
            key.id,
            key.name,
            ", ".join(key.scopes),
            key.state(now),
            key.created_at,
            key.expires_at or "never",
            key.rate_limit or "as set",
        )
    if table.row_count:
        Console().print(table)
    else:
        click.echo("No keys yet: `personalize serve keys create --name shop --scopes ...`.")


@keys.command()
@click.argument("id_or_name")
@click.pass_obj
def revoke(settings_file: Path | None, id_or_name: str) -> None:
    """End a key; a running service refuses it from its next request on."""
    from personalization_assets.serving.service.keys import KeyFile, keys_file

    file = KeyFile(keys_file(load_settings(settings_file)))
    key = file.revoke(id_or_name, dt.datetime.now(dt.UTC))
    click.echo(f"Key {key.id} of {key.name} is revoked.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UserError(
            f"Port {port} of {host} cannot be used ({error.strerror}): choose another with --port."
        ) from error
    listener.listen(1024)
    listener.set_inheritable(True)
    return listener


def _answer(settings: Settings, listener: socket.socket, workers: int, no_auth: bool) -> None:
    # Set before anything is loaded that reads them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from personalization_assets.serving.service.app import WITHOUT_KEYS, WORKERS
    from personalization_assets.serving.service.metrics import SEVERAL_WORKERS

    host, port = listener.getsockname()[:2]
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    click.echo(f"Answering from {settings.serving_file} at http://{where}/docs", err=True)
    os.environ[WORKERS] = str(workers)
    if no_auth:
        os.environ[WITHOUT_KEYS] = "1"
    config = uvicorn.Config(
        "personalization_assets.serving.service.app:app_of_a_worker",
        factory=True,
        workers=workers,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )
    if workers == 1:
        uvicorn.Server(config).run(sockets=[listener])
        return
    with tempfile.TemporaryDirectory(prefix="personalize-metrics-") as folder:
        os.environ[SEVERAL_WORKERS] = folder
        Multiprocess(config, [listener]).run()


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"--expires {text!r} is not a date or time: write 2027-01-31.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)

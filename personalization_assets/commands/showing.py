"""`personalize mails show`: one rendered mail again, as it was rendered."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

PARTS = ("subject", "preheader", "text", "html", "headers")


@click.command()
@click.argument("send_id")
@click.option("--part", type=click.Choice(PARTS), help="Only this part, byte for byte")
@click.option("--out", type=click.Path(path_type=Path), help="Write the part to this file")
@click.option(
    "--warehouse", type=click.Path(path_type=Path), help="DuckDB file the mails belong to"
)
@click.pass_obj
def show(
    settings_file: Path | None,
    send_id: str,
    part: str | None,
    out: Path | None,
    warehouse: Path | None,
) -> None:
    """Show a rendered mail of this or an earlier run, by its send id."""
    from personalization_assets.emails.storage import MailStore
    from personalization_assets.errors import UserError
    from personalization_assets.settings import load_settings

    settings = load_settings(settings_file, warehouse=warehouse)
    store = MailStore(settings.mails_dir)
    mail = store.find(send_id, _handed_over(settings.warehouse_file, send_id))
    if mail is None:
        raise UserError(
            f"No mail in {store.folder} has the send id {send_id}: take one from emails.audience "
            "or emails.deliveries, of a run whose mails are still kept."
        )
    if part is None:
        _print(mail, Console())
        return
    if mail[part] is None:
        why = mail["reason"] or "its body was dropped (setting emails.keep_bodies_days)"
        raise UserError(f"The mail {send_id} has no {part}: {why}.")
    body = str(mail[part]).encode()
    if out is None:
        sys.stdout.buffer.write(body)
    else:
        out.write_bytes(body)
        Console(stderr=True).print(f"Wrote {out}")


def _handed_over(warehouse: Path, send_id: str) -> str | None:
    """The hash of the mail that was handed over under this id, if the warehouse can be asked."""
    from personalization_assets.errors import UserError
    from personalization_assets.warehouse import exists, reading

    try:
        with reading(warehouse) as con:
            if not exists(con, "emails.deliveries"):
                return None
            found = con.execute(
                "SELECT content_hash FROM emails.deliveries WHERE send_id = ?", [send_id]
            ).fetchall()
    except UserError:
        return None
    return str(found[0][0]) if found else None


def _print(mail: dict[str, Any], console: Console) -> None:
    from rich.markup import escape

    campaign = f"{mail['campaign']}, variant {mail['variant']}"
    console.print(f"[bold]{campaign}[/bold], {mail['status']} {mail['as_of']:%Y-%m-%d %H:%M} UTC")
    if mail["reason"]:
        console.print(f"No mail: {escape(mail['reason'])}")
        return
    for name, value in (
        ("To", mail["to_email"]),
        ("Subject", mail["subject"]),
        ("Preheader", mail["preheader"]),
        *sorted(json.loads(mail["headers"] or "{}").items()),
        ("HTML", f"{mail['bytes']:,} bytes; --part html --out mail.html writes them"),
        ("sha256", mail["content_hash"]),
        ("Template", mail["template_version"]),
    ):
        console.print(
            f"[dim]{name}:[/dim] {escape(str(value or 'dropped'))}", highlight=False, soft_wrap=True
        )
    console.print()
    console.print(escape(mail["text"] or "The text was dropped."), highlight=False, soft_wrap=True)


COMMANDS = [show]

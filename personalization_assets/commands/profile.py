"""`personalize profile ...`: golden profiles, from a shell."""

from pathlib import Path

import click


@click.group()
def profile() -> None:
    """See what is known about customers, and what to collect next."""


@profile.command()
@click.option("--top", default=10, show_default=True, type=click.IntRange(1, 200))
@click.option("--warehouse", type=click.Path(path_type=Path), help="DuckDB file to read")
@click.pass_obj
def maturity(settings_file: Path | None, top: int, warehouse: Path | None) -> None:
    """Rank the data points whose repair would reach most customers, campaigns and models."""
    from rich.markup import escape
    from rich.table import Table

    from personalization_assets.commands.wide import wide_console
    from personalization_assets.errors import UserError
    from personalization_assets.settings import load_settings
    from personalization_assets.warehouse import exists, reading

    settings = load_settings(settings_file, warehouse=warehouse)
    with reading(settings.warehouse_file) as con:
        if not exists(con, "profiles.maturity"):
            raise UserError("There is no profiles.maturity yet: run `personalize run` first.")
        rows = con.execute(
            "SELECT rank, data_point, stage, score, customers_to_reach,"
            " list_concat(campaigns, models), advice"
            " FROM profiles.maturity WHERE rank <= ? ORDER BY rank",
            [top],
        ).fetchall()
    table = Table(title="What to fix next", title_justify="left", box=None)
    for name in ("rank", "data point", "stage", "score", "customers"):
        table.add_column(name, justify="left" if name in ("data point", "stage") else "right")
    table.add_column("used by")
    table.add_column("what to do")
    for rank, point, stage, score, customers, users, advice in rows:
        table.add_row(
            str(rank), point, stage, f"{score:.2f}", f"{customers:,}",
            escape(", ".join(users)), escape(advice),
        )  # fmt: skip
    wide_console().print(table if rows else "No fix would reach anybody.")

"""The review page on a port of this computer, until somebody stops it."""

import socket
import webbrowser
from collections.abc import Callable

from rich.console import Console

from personalization_assets.errors import UserError
from personalization_assets.identity.stewardship.review_queue import Queue
from personalization_assets.settings import Settings

ADDRESS = "127.0.0.1"


def serve(
    settings: Settings,
    read: Callable[[], Queue],
    queue: Queue,
    author: str,
    port: int,
    browser: bool,
    console: Console,
) -> None:
    """Serve the page and print its address; nothing outside this computer reaches it.

    Raises:
        UserError: the port is taken.
    """
    import uvicorn

    from personalization_assets.identity.stewardship.review_app import Desk, review_app

    desk = Desk(settings, read, queue, author)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((ADDRESS, port))
        except OSError as error:
            raise UserError(
                f"Port {port} of {ADDRESS} cannot be used ({error.strerror}): choose another with "
                "--port, or leave it out."
            ) from error
        listener.listen()
        address = f"http://{ADDRESS}:{listener.getsockname()[1]}/?token={desk.token}"
        console.print(f"{queue.total:,} doubtful pairs wait for a decision.", highlight=False)
        console.print(f"Review them at {address}", highlight=False, soft_wrap=True)
        console.print("Ctrl-C ends it; decisions are kept.", highlight=False)
        if browser:
            webbrowser.open(address)
        config = uvicorn.Config(
            review_app(desk), log_level="warning", access_log=False, lifespan="off"
        )
        uvicorn.Server(config).run(sockets=[listener])

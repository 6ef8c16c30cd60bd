"""Pictures of the shipped campaigns' scenarios, for whoever changes a template:

    python -m personalization_tests.emails.screenshots [campaign ...]

writes `data/exports/screenshots/<campaign>/<variant>/<scenario>-<phone|desktop>-<light|dark>.png`,
and sheets of them side by side, with headless Chromium (Debian's package `chromium`, or what the
variable CHROMIUM names). Pictures of products come from a server that does not exist, so their
alternative text is seen, as in mail programs that load none.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from personalization_assets.emails.gallery_page import FRAME_SCRIPT
from personalization_assets.settings import PROJECT
from personalization_tests.emails.studios import CAMPAIGNS, studio

WIDTHS = {"phone": 375, "desktop": 680}
SCHEMES = ("light", "dark")
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
SETTLED = (
    FRAME_SCRIPT.split("function settle")[0]
    + """
Promise.all([...document.images].map(img=>img.decode().catch(()=>tile(img))))
.then(()=>new Promise(done=>requestAnimationFrame(()=>requestAnimationFrame(done))))
"""
)
"""Waits for pictures; one that can't be loaded is shown as its alternative text."""
A_SHEET = 8
"""Mails on a sheet: more are too small to read."""


class Chromium:
    """A headless browser, spoken to over its debugging pipe."""

    def __init__(self, program: str, profile: Path) -> None:
        to_browser, ours = os.pipe()
        self._read, from_browser = os.pipe()
        self._write = ours
        # The browser reads commands at descriptor 3 and answers at 4.
        command = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", command, program, *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(to_browser, from_browser),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._number, self._rest, self._session = 0, b"", ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its answer; events in between are of no interest."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        waiting = json.dumps(message).encode() + b"\0"
        while waiting:
            waiting = waiting[os.write(self._write, waiting) :]
        while True:
            while b"\0" not in self._rest:
                more = os.read(self._read, 1 << 20)
                if not more:
                    raise SystemExit("Chromium ended before its picture was taken.")
                self._rest += more
            line, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise SystemExit(f"Chromium refused {method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result

    def picture(self, html: str, width: int, scheme: str, phone: bool) -> bytes:
        """A whole page as PNG."""
        size = {"width": width, "height": 600, "deviceScaleFactor": 1, "mobile": phone}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.ask("Emulation.setEmulatedMedia", features=[feature])
        frame = self.ask("Page.getFrameTree")["frameTree"]["frame"]["id"]
        self.ask("Page.setDocumentContent", frameId=frame, html=html)
        self.ask("Runtime.evaluate", expression=SETTLED, awaitPromise=True)
        found = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        # Wider than the window is what a reader would have to scroll to: it must be seen.
        clip = {"x": 0, "y": 0, "width": max(width, found["width"]), "height": found["height"]}
        shot = self.ask(
            "Page.captureScreenshot", captureBeyondViewport=True, clip=clip | {"scale": 1}
        )
        return base64.b64decode(shot["data"])

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)


def take(campaigns: Sequence[str], out: Path, program: str) -> tuple[int, list[str]]:
    """Take all pictures; returns how many, and which mails are wider than their screen."""
    count, wide = 0, []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Chromium(program, Path(profile))
        for campaign in campaigns:
            made = studio(campaign)
            mails = [m for m in made.mails(made.found.scenarios) if m.row["html"]]
            shutil.rmtree(out / campaign, ignore_errors=True)
            for variant in dict.fromkeys(mail.row["variant"] for mail in mails):
                folder = out / campaign / variant
                folder.mkdir(parents=True)
                mine = [mail for mail in mails if mail.row["variant"] == variant]
                for name, width in WIDTHS.items():
                    for scheme in SCHEMES:
                        files = []
                        for mail in mine:
                            shot = browser.picture(mail.row["html"], width, scheme, name == "phone")
                            file = folder / f"{mail.key}-{name}-{scheme}.png"
                            file.write_bytes(shot)
                            files.append((mail.key, file))
                            if int.from_bytes(shot[16:20], "big") > width:
                                wide.append(f"{campaign}/{variant} {mail.key} ({name})")
                        _sheets(browser, files, folder / f"sheet-{name}-{scheme}", width)
                        count += len(files)
        browser.close()
    return count, list(dict.fromkeys(wide))


def _sheets(browser: Chromium, files: Sequence[tuple[str, Path]], base: Path, width: int) -> None:
    for start in range(0, len(files), A_SHEET):
        cells = "".join(
            f"<figure><figcaption>{escape(key)}</figcaption><img src='data:image/png;base64,"
            f"{base64.b64encode(file.read_bytes()).decode()}'></figure>"
            for key, file in files[start : start + A_SHEET]
        )
        style = (
            "body{margin:8px;display:flex;gap:8px;align-items:start;background:#999;"
            "font:16px sans-serif}figure{margin:0}"
        )
        page = f"<!doctype html><style>{style}</style>{cells}"
        shot = browser.picture(page, A_SHEET * (width + 8) + 8, "light", False)
        base.with_name(f"{base.name}-{start // A_SHEET + 1}.png").write_bytes(shot)


def main() -> None:
    """Take the pictures and say where they are."""
    parser = argparse.ArgumentParser(description="Screenshots of the shipped campaigns' scenarios")
    parser.add_argument("campaigns", nargs="*", choices=[*CAMPAIGNS, []], help="[all]")
    parser.add_argument("--out", type=Path, default=PROJECT / "data" / "exports" / "screenshots")
    asked = parser.parse_args()
    named = os.environ.get("CHROMIUM")
    program = next(filter(None, map(shutil.which, [named] if named else NAMES)), None)
    if program is None:
        sys.exit(
            f"There is no Chromium here ({named or ', '.join(NAMES)}): install it (Debian: "
            f"`apt-get install chromium`), or name it in the variable CHROMIUM."
        )
    count, wide = take(asked.campaigns or list(CAMPAIGNS), asked.out, program)
    print(f"{count:,} pictures in {asked.out}; look at the sheets first.")
    for mail in wide:
        print(f"  wider than its screen: {mail}")


if __name__ == "__main__":
    main()

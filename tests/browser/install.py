"""Find a Chromium for the browser tests, or install one: ``python -m tests.browser.install``.

In this order: one that is installed; Playwright's own; the system's package, where we are root.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """The path of a Chromium that is there, or None."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def install_browser() -> None:
    """Try Playwright's download, then apt."""
    tried = subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False, timeout=600)
    if tried.returncode == 0 and find_browser():
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=False, env=environment)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=False, env=environment)


def main() -> int:
    """Exit status 0 when a browser is there in the end."""
    if not find_browser():
        install_browser()
    browser = find_browser()
    print(f"Browser for the tests: {browser}" if browser else "No Chromium could be found or installed: install one.")
    return 0 if browser else 1


if __name__ == "__main__":
    sys.exit(main())

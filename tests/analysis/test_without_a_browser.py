"""A run of the tests on a machine without Chromium says at its end that the page was opened nowhere, and what to install."""

import os
import subprocess
import sys
from pathlib import Path


def test_the_skip_names_what_is_missing_and_how_to_install_it(tmp_path):
    file = Path(__file__).with_name("test_page_in_browser.py")
    command = [sys.executable, "-m", "pytest", str(file), "-p", "no:cacheprovider"]
    shown = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PATH": str(tmp_path)}, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert "none of chromium, chromium-browser, google-chrome is on the path" in shown.stdout
    assert "apt-get install chromium" in shown.stdout

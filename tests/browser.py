"""A headless Chromium for tests; skipped where there is none."""

import contextlib
import shutil

import pytest


@contextlib.contextmanager
def chromium(tmp_path):
    """Hand out a driver whose console is kept: `driver.get_log("browser")`."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("no Chromium and its driver here: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield found
    finally:
        found.quit()


def complaints(driver):
    """Return what stands in the console."""
    return [entry["message"] for entry in driver.get_log("browser")]

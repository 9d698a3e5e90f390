"""The page in a real browser: Debian's chromium, driven by chromedriver, and axe-core for accessibility."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.report import compose, html
from tests.report import made

selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (extra: test)")
pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="chromium or chromedriver is not installed (Debian: chromium, chromium-driver)",
)
A4 = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True}
PHONE, DESKTOP = (390, 844), (1280, 900)


class Browser:
    """One browser for the module; `open` begins with an empty log."""

    def __init__(self) -> None:
        options = selenium.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = selenium.Chrome(options, selenium.ChromeService(str(shutil.which("chromedriver"))))

    def open(self, path: Path, *, size: tuple[int, int] = DESKTOP, scripts: bool = True, dark: bool = False) -> None:
        """Open a page, as it is on a screen of that size."""
        self.cdp("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.cdp("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)
        scheme = "dark" if dark else "light"
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(path.as_uri())

    def cdp(self, command: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)

    def said(self) -> list[str]:
        """All that the console says, violations of the policy among it."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requested(self) -> list[str]:
        """The addresses that were asked for."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script of the test's own, which the page's policy does not hold for."""
        return self.driver.execute_script(script, *arguments)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = Browser()
    try:
        yield found
    finally:
        found.driver.quit()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the host, with hostile names in all places."""
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(html.render(compose.compose(made.given(hostile=True))), encoding="utf-8")
    return file


COLUMN = """
const table = [...document.querySelectorAll("table.sortable")].find(item => item.caption.textContent === arguments[0]);
return [...table.tBodies[0].rows].filter(row => !row.hidden).map(row => row.cells[arguments[1]].innerText);
"""
CPU = "CPU by virtual cluster"


def click(browser: Browser, caption: str, header: str) -> str:
    """Sort a table by a column, as a mouse does; what screen readers are told of the column."""
    return str(
        browser.run(
            """
            const table = [...document.querySelectorAll("table.sortable")]
              .find(item => item.caption.textContent === arguments[0]);
            const header = [...table.tHead.rows[0].cells].find(cell => cell.textContent === arguments[1]);
            header.querySelector("button").click();
            return [...table.tHead.rows[0].cells].map(cell => cell.getAttribute("aria-sort")).filter(x => x).join();
            """,
            caption,
            header,
        )
    )


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_it_opens_asks_for_nothing_and_says_nothing(
    browser: Browser, path: Path, scripts: bool, size: tuple[int, int]
) -> None:
    browser.open(path, scripts=scripts, size=size)
    assert browser.requested() == [path.as_uri()]
    assert browser.said() == []
    assert browser.driver.title == "Usage report"


def test_without_scripts_everything_is_there_and_no_dead_buttons(browser: Browser, path: Path) -> None:
    browser.open(path, scripts=False)
    root = browser.cdp("DOM.getDocument", depth=-1)["root"]

    def count(selector: str) -> int:
        return len(browser.cdp("DOM.querySelectorAll", nodeId=root["nodeId"], selector=selector)["nodeIds"])

    text = browser.driver.page_source
    assert count("button") == 0
    assert count("input") == 0
    assert (count("h2"), count("svg.stack path.s0"), count("table.sortable")) == (11, 2, 14)
    assert "140.50" not in text
    assert "141.50" in text  # with the hostile tenant's


def test_sorting(browser: Browser, path: Path) -> None:
    browser.open(path)
    hostile = browser.run(COLUMN, CPU, 0)[2]
    assert "<script>document.title" in hostile
    before = browser.run(COLUMN, CPU, 1)
    assert before == ["1.75", "0.1", "1", "2", "0.2"]
    assert click(browser, CPU, "Mean, cores") == "descending"
    assert browser.run(COLUMN, CPU, 1) == ["2", "1.75", "1", "0.2", "0.1"]
    assert click(browser, CPU, "Mean, cores") == "ascending"
    assert browser.run(COLUMN, CPU, 1) == ["0.1", "0.2", "1", "1.75", "2"]
    # What has no number comes last, either way.
    assert click(browser, CPU, "Quota used") == "descending"
    assert browser.run(COLUMN, CPU, 7) == ["95%", "–", "–", "–", "–"]
    assert click(browser, CPU, "Quota used") == "ascending"
    assert browser.run(COLUMN, CPU, 7) == ["95%", "–", "–", "–", "–"]
    assert click(browser, CPU, "Virtual cluster") == "ascending"
    names = [name.split("\n")[0] for name in browser.run(COLUMN, CPU, 0)]
    assert names[1:] == ["acme", "acme", "globex", "The host's own pods"]
    # Sums stay where they are.
    assert browser.run(
        "return [...document.querySelectorAll('table.sortable')].find(t => t.caption.textContent === arguments[0])"
        ".tFoot.rows[0].cells[0].innerText",
        CPU,
    ) == ("All together")
    assert browser.said() == []


def test_filtering(browser: Browser, path: Path) -> None:
    browser.open(path)
    field = browser.driver.find_element("css selector", 'input[aria-label="Filter: Pods"]')
    field.send_keys("SHOP/")
    assert browser.run(COLUMN, "Pods", 0) == ["shop/frontend\nhost-a/acme", "shop/orders-db\nhost-a/acme"]
    status = browser.driver.find_element("css selector", '.filter [role="status"]')
    assert status.text == "2 of 7 rows"
    field.clear()
    field.send_keys("<script>")
    assert len(browser.run(COLUMN, "Pods", 0)) == 1
    field.clear()
    field.send_keys("x\b")
    assert (len(browser.run(COLUMN, "Pods", 0)), status.text) == (7, "")
    assert browser.said() == []


@pytest.mark.parametrize("dark", [False, True])
def test_themes(browser: Browser, path: Path, dark: bool) -> None:
    """What the system asks for at first, the other one at a click, and back."""
    light, black = "rgb(255, 255, 255)", "rgb(15, 20, 25)"
    colour = "return getComputedStyle(document.body).backgroundColor"
    browser.open(path, dark=dark)
    button = browser.driver.find_element("id", "theme")
    for now in (dark, not dark, dark):
        assert browser.run(colour) == (black if now else light)
        assert button.text == ("Light theme" if now else "Dark theme")
        button.click()
    assert browser.said() == []


def test_without_scripts_the_theme_is_the_systems(browser: Browser, path: Path) -> None:
    for dark in (True, False):
        browser.open(path, dark=dark, scripts=False)
        browser.cdp("CSS.disable")
        document = browser.cdp("DOM.getDocument")["root"]["nodeId"]
        browser.cdp("CSS.enable")
        body = browser.cdp("DOM.querySelector", nodeId=document, selector="body")["nodeId"]
        styles = browser.cdp("CSS.getComputedStyleForNode", nodeId=body)["computedStyle"]
        [colour] = [item["value"] for item in styles if item["name"] == "background-color"]
        assert colour == ("rgb(15, 20, 25)" if dark else "rgb(255, 255, 255)")


def test_hostile_names_do_nothing(browser: Browser, path: Path) -> None:
    browser.open(path)
    assert browser.driver.title == "Usage report"
    assert browser.run("return document.querySelectorAll('img, iframe, [onerror], a[href^=http]').length") == 0
    assert browser.run("return document.scripts.length") == 1
    # Were one to get in, the policy would not run it.
    browser.run("document.querySelector('h1').innerHTML = '<img src=\"data:,\" onerror=\"document.title=1\">'")
    browser.run("const s = document.createElement('script'); s.text = 'document.title = 2'; document.body.append(s)")
    assert browser.driver.title == "Usage report"
    assert any("Content Security Policy" in message for message in browser.said())


def test_keyboard(browser: Browser, path: Path) -> None:
    """Tab reaches the skip link, the theme and each header; Enter sorts."""
    from selenium.webdriver.common.keys import Keys

    browser.open(path)
    focused = "return document.activeElement.textContent"
    seen = []
    for _ in range(3):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(browser.run(focused))
    assert seen == ["Skip to the report", "Dark theme", "Summary"]
    browser.run("document.querySelector('table.sortable thead button').focus()")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.run("return document.activeElement.parentElement.getAttribute('aria-sort')") == "ascending"
    outline = browser.run("return getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "3px"


@pytest.mark.parametrize("size", [PHONE, (320, 600), DESKTOP])
def test_nothing_is_wider_than_the_screen(browser: Browser, path: Path, size: tuple[int, int]) -> None:
    """Wide tables scroll in boxes of their own."""
    browser.open(path, size=size)
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]
    boxes = browser.run("return [...document.querySelectorAll('.box')].map(box => box.scrollWidth > box.clientWidth)")
    assert any(boxes) == (size != DESKTOP)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_axe_finds_nothing(browser: Browser, path: Path, dark: bool, size: tuple[int, int]) -> None:
    """WCAG 2.1 A and AA, and axe-core's best practices."""
    axe = pytest.importorskip("axe_core_python.base", reason="axe-core-python is not installed (extra: test)")
    browser.open(path, dark=dark, size=size)
    browser.run(axe.AXE_SCRIPT)
    browser.run("for (const item of document.querySelectorAll('details')) item.open = true")
    found = browser.driver.execute_async_script(
        "const done = arguments[arguments.length - 1]; axe.run({resultTypes: ['violations']}).then(done)"
    )
    said = [(item["id"], item["impact"], item["nodes"][0]["html"][:120]) for item in found["violations"]]
    assert said == []
    assert len(found["passes"]) > 20


def test_print(browser: Browser, path: Path) -> None:
    """On A4 nothing is cut off at the right, and controls are left out."""
    browser.open(path)
    browser.cdp("Emulation.setEmulatedMedia", media="print")
    # The width between the margins of 12 mm, in CSS pixels.
    browser.cdp("Emulation.setDeviceMetricsOverride", width=703, height=1000, deviceScaleFactor=1, mobile=False)
    assert browser.run("return document.documentElement.scrollWidth") <= 703
    wide = browser.run(
        "return [...document.querySelectorAll('table, figure')].filter(x => x.getBoundingClientRect().right > 703)"
        ".map(x => x.textContent.slice(0, 60))"
    )
    assert wide == []
    shown = browser.run(
        "return [...document.querySelectorAll('button, input, nav, details')].filter(x => x.offsetWidth).length"
    )
    assert shown == 0
    pdf = browser.cdp("Page.printToPDF", **A4)["data"]
    assert pdf.startswith("JVBERi0")  # %PDF-

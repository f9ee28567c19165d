"""Every page for everybody: names, headings, contrast (WCAG AA), keyboard, narrow screens, light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs("chromium")

PAGES = (
    "#/",
    "#/runs",
    "#/nodes",
    "#/plan",
    "#/strategies",
    "#/compare?a={done}&b={again}",
    "#/compare?what=strategies&a=fifo_greedy&b=fifo_random",
    "#/runs/{done}",
    "#/runs/{done}?task=train.1",
    "#/runs/{running}/gantt",
    "#/runs/{failed}/tasks?task=a",
    "#/runs/{running}/logs",
    "#/runs/{done}/data",
    "#/runs/{done}/events",
    "#/runs/{done}/tasks/load",
    "#/runs/{waiting}/tasks/nap",
)

WIDE = {"width": 1300, "height": 850}
NARROW = 360
AUDIT = (Path(__file__).parent / "audit.js").read_text()


def opened(browser: Any, server: Any, **more: Any) -> Any:
    context = browser.new_context(base_url=f"{server.url}/ui/", reduced_motion="reduce", **more)
    context.set_default_timeout(60_000)
    return context.new_page()


def visit(page: Any, address: str) -> None:
    page.goto(address)
    page.locator("h1").first.wait_for()
    page.locator(".loading").first.wait_for(state="detached")


@pytest.fixture(scope="module")
def seen(browser: Any, server: Any, runs: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Every page looked at once, in light, in dark and on a narrow screen; what was found, by how it was looked at."""
    page = opened(browser, server, color_scheme="light", viewport=WIDE)
    found: dict[str, dict[str, Any]] = {"light": {}, "dark": {}, "narrow": {}}
    for address in PAGES:
        visit(page, address.format(**runs))
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found[scheme][address] = page.evaluate(AUDIT)
        page.set_viewport_size({"width": NARROW, "height": 740})
        found["narrow"][address] = page.evaluate("document.documentElement.scrollWidth")
        page.set_viewport_size(WIDE)
    page.context.close()
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_has_names_one_heading_and_enough_contrast(seen: dict[str, dict[str, Any]], scheme: str) -> None:
    assert {address: problems for address, problems in seen[scheme].items() if problems} == {}
    assert len(seen[scheme]) == len(PAGES)


def test_no_page_is_wider_than_a_narrow_screen(seen: dict[str, dict[str, Any]]) -> None:
    assert {address: width for address, width in seen["narrow"].items() if width > NARROW} == {}


def test_everything_can_be_reached_and_used_with_the_keyboard(browser: Any, server: Any, runs: dict[str, str]) -> None:
    page = opened(browser, server, viewport={"width": 1300, "height": 850})
    visit(page, "#/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("link", name="Nodes", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Nodes").wait_for()
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.title() == "Nodes · MLOpX"
    outline = "element => getComputedStyle(element).outlineStyle"
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.locator(":focus").evaluate(outline) != "none"
    page.context.close()


DOWN = {
    "title": "Unavailable",
    "status": 503,
    "detail": "the database does not answer",
    "hint": "see /readyz",
    "details": [],
}


@pytest.mark.parametrize("state", ["error", "away"])
def test_every_page_says_what_is_wrong(browser: Any, server: Any, runs: dict[str, str], state: str) -> None:
    def answer(route: Any) -> None:
        route.fulfill(status=503, json=DOWN) if state == "error" else route.abort()

    said = "the database does not answer" if state == "error" else "The server does not answer."
    page = opened(browser, server, viewport=WIDE)
    page.route("**/api/**", answer)
    found: dict[str, Any] = {}
    for address in PAGES:
        page.goto("about:blank")
        page.goto(address.format(**runs))
        page.get_by_role("alert").filter(has_text=said).first.wait_for()
        found[address] = page.evaluate(AUDIT)
    page.context.close()
    assert {address: problems for address, problems in found.items() if problems} == {}


FOCUSED = """() => {
  const at = document.activeElement, style = getComputedStyle(at);
  const drawn = at.querySelector(":scope > .body, :scope > .bar");
  const isSeen = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2)
    || (drawn !== null && parseFloat(getComputedStyle(drawn).strokeWidth) >= 2.5);
  return [at === document.body ? "" : at.outerHTML.slice(0, 120), isSeen];
}"""
STEPS = 30


def test_on_every_page_the_focus_goes_on_and_can_be_seen(browser: Any, server: Any, runs: dict[str, str]) -> None:
    page = opened(browser, server, viewport=WIDE)
    unseen: dict[str, str] = {}
    for address in PAGES:
        visit(page, address.format(**runs))
        page.locator("#main").focus()
        reached = []
        for _ in range(STEPS):
            page.keyboard.press("Tab")
            element, is_seen = page.evaluate(FOCUSED)
            if not element:
                break
            if not is_seen:
                unseen[address] = element
            reached.append(element)
        assert len(set(reached)) >= min(len(reached), 3), f"{address}: the focus does not go on"
    page.context.close()
    assert unseen == {}


def test_the_colours_can_be_chosen_and_stay(browser: Any, server: Any, runs: dict[str, str]) -> None:
    page = opened(browser, server, color_scheme="light")
    visit(page, "#/strategies")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_label("Colours").select_option("dark")
    page.wait_for_function("light => getComputedStyle(document.body).backgroundColor !== light", arg=light)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    page.locator("h1").wait_for()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark != light
    page.context.close()

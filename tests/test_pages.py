"""The pages, in a real browser, over a store full of trouble and over a service at work."""

from __future__ import annotations

import html
import io
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from xml.etree import ElementTree

import httpx
import pandas as pd
import psutil
import pytest
from parts import lacking
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright
from program import HTTP, Program, Server, free_port, until
from reverse_proxy import Kind, ReverseProxy

from daskingest.benchmarks.pages import measure, pages
from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.stores import open_store

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"

JANUARY = 46 * 12  # of 2016

SCRIPT = "<script>window.owned=1</script>\"'><img src=x onerror=window.owned=1>"
HOSTILE = {
    "markup": SCRIPT,
    "long": "W" * 1_990,
    "right to left": "\u202eevil \u05e9\u05dc\u05d5\u05dd",
    "slashes": "../a/b?x=1&y=%2F#z",
    "template": "{{ 7 * 7 }} {% raw %}",
}
PATHS = [
    "/",
    "/?q=post",
    "/publication?name=the post",
    "/compare?name=the post&name=the herald",
    "/compare?name=the post&name=the herald&since=2016-02&log=1&word=paris",
    "/compare?word=paris&word=angela merkel&by=quarter",
    "/compare?name=markup&name=right to left",
    "/compare",
    "/word?word=paris",
    "/word?word=paris&since=2016-02&until=2016-03",
    "/publication?name=the+post&since=2016-02",
    "/publication?name=the+post&since=2016-02&until=2016-03&label=GPE&by=year",
    "/publication?name=the+post&since=2020-01&q=nothing",
    "/word",
    "/try",
    "/publication?name=nobody",
    *(f"/publication?name={key}" for key in ("markup", "long", "right to left")),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        lacking("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page, and what happened in it."""

    page: Page
    base: str
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def see(self, request: Request) -> None:
        if not request.url.startswith((self.base, "data:")):
            self.elsewhere.append(request.url)

    def hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not re.search("status of 40[14]", message.text):
            self.errors.append(message.text)

    def go(self, path: str) -> None:
        self.page.goto(self.base + path, wait_until="networkidle")


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens a page of a service, whose requests must stay there and whose scripts must be sound."""
    visits = []

    def open_page(base: str, **options: Any) -> Visit:
        page = browser.new_context(**options).new_page()
        found = Visit(page, base)
        page.on("request", found.see)
        page.on("console", found.hear)
        page.on("pageerror", lambda error: found.errors.append(str(error)))
        visits.append(found)
        return found

    yield open_page
    for each in visits:
        each.page.context.close()
        assert each.elsewhere == []
        assert each.errors == []


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two publications as others are, and some that are not."""
    url = f"sqlite:///{tmp_path_factory.mktemp('pages') / 's.db'}"
    counts = Counts()
    for name, favourite in (("The Post", "paris"), ("The Herald", "berlin")):
        for number in range(40):
            found = [(f"city {i:03}", "GPE") for i in range(120)]
            found += [(favourite, "GPE")] * 9 + [("paris", "GPE"), ("angela merkel", "PERSON")]
            counts.add_article(name, found, JANUARY + number // 10 if number < 35 else None)
    for name, word in HOSTILE.items():
        named = word if name in ("markup", "long", "right to left") else name
        counts.add_article(name, [(word, "ORG"), ("=1+1", "ORG"), ("$$x$$", "ORG")])
        counts.publications[name].name = named
    with open_store(url, create=True) as opened:
        opened.commit(counts.packed(), {BatchId("test", "0"): Counted()})
    return url


@contextmanager
def exploring(folder: Path, store: str, *options: str) -> Iterator[str]:
    """The address of `daskingest explore`, while it runs."""
    port = free_port()
    program = Program(folder, "explore", "--store", store, "--port", str(port), *options)
    until(lambda: "press Ctrl-C to stop" in program.output or program.process.poll() is not None)
    address = f"http://127.0.0.1:{port}"
    until(lambda: _answers(address))
    yield address
    program.interrupt()
    assert program.wait() == 0, program.output
    assert "Traceback" not in program.output


@pytest.fixture(scope="session")
def explorer(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `daskingest explore`."""
    with exploring(tmp_path_factory.mktemp("explorer"), store) as address:
        yield address


@pytest.fixture(scope="session")
def prefixed(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same, with `--root-path`."""
    folder = tmp_path_factory.mktemp("prefixed")
    with exploring(folder, store, "--root-path", "/news/site") as address:
        yield address


def _answers(address: str) -> bool:
    try:
        return HTTP.get(address).is_success
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize(("width", "scheme"), [(1200, "dark"), (360, "light")])
def test_all_pages(explorer: str, visit: Callable[..., Visit], width: int, scheme: str) -> None:
    """Nothing from articles runs, nothing is wider than the window, axe-core finds no fault."""
    if not AXE.exists():
        lacking("axe-core is not installed: npm ci --prefix tests")
    there = visit(explorer, viewport={"width": width, "height": 800}, color_scheme=scheme)
    for path in PATHS:
        there.go(path)
        assert there.page.evaluate("window.owned") is None
        wider = "document.documentElement.scrollWidth - window.innerWidth"
        assert there.page.evaluate(wider) <= 0, path
        there.page.evaluate(AXE.read_text())
        found = there.page.evaluate("axe.run({ preload: false, resultTypes: ['violations'] })")
        serious = [
            (path, each["id"], [node["html"][:200] for node in each["nodes"]])
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]
        assert serious == []


def test_a_publication_s_words(explorer: str, visit: Callable[..., Visit]) -> None:
    there = visit(explorer)
    there.go("/")
    page = there.page
    page.get_by_role("link", name="The Post").click()
    page.wait_for_load_state("networkidle")
    assert page.get_by_role("heading", level=1).inner_text() == "The Post"
    bars = page.locator("#publication .broad .mark")
    assert bars.count() == 25
    assert bars.first.get_attribute("aria-label") == "paris: 400"
    page.locator("svg.cloud").get_by_role("link", name="paris, 400 mentions").wait_for()
    rows = page.locator("section[aria-labelledby=words] tbody tr")
    assert rows.first.inner_text().split() == ["paris", "400", "10,000", "GPE", "400"]
    seen = rows.locator("th").all_inner_texts()
    while (following := page.get_by_role("link", name="Next 50 words")).count():
        following.click()
        page.wait_for_load_state()
        seen += rows.locator("th").all_inner_texts()
    assert len(seen) == len(set(seen)) == 122
    page.select_option("#label", "PERSON")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_load_state("networkidle")
    assert rows.locator("th").all_inner_texts() == ["angela merkel"]
    page.select_option("#label", "")
    page.fill("#q", "City 11")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=City**")
    assert rows.locator("th").all_inner_texts() == [f"city 11{i}" for i in range(10)]


def test_months(explorer: str, visit: Callable[..., Visit]) -> None:
    there = visit(explorer)
    page = there.page
    there.go("/")
    assert page.locator(".spark").count() == 2
    there.go("/word?word=paris")
    points = page.locator(".broad circle.mark")
    assert points.count() == 12  # of two publications, and of both together
    points.nth(4).focus()
    told = "The Post, 2016-01: 10,000 (100 in 10 articles)"
    assert points.nth(4).get_attribute("aria-label") == told
    assert page.locator(".tells").inner_text() == told
    there.go("/publication?name=The+Post")
    assert page.locator("#publication-months .broad a").count() == 4
    page.fill("#since", "2016-03")
    page.locator("form:has(#since)").get_by_role("button").click()
    page.wait_for_url("**since=2016-03**")
    assert page.locator("#publication-months .broad rect[fill-opacity]").count() == 2
    rows = page.locator("section[aria-labelledby=words] tbody tr")
    assert rows.first.inner_text().split() == ["paris", "150", "10,000"]
    assert "15 articles from 2016-03" in page.locator("caption").first.inner_text()
    got = HTTP.get(f"{explorer}/download/word-months.csv?word=berlin&since=2016-04").text
    assert got.splitlines()[1:] == [
        "The Herald,berlin,2016-04,45,5",
    ]
    got = HTTP.get(f"{explorer}/download/publication.csv?name=the+post&until=2016-01").text
    assert got.splitlines()[:2] == ["publication,word,count,name", "The Post,paris,100,paris"]
    assert HTTP.get(f"{explorer}/word?word=x&since=soon").status_code == 422


def test_months_are_chosen_from_the_picture(explorer: str, visit: Callable[..., Visit]) -> None:
    """By dragging, by following one, and with the keyboard; the address has what is chosen."""
    there = visit(explorer)
    page = there.page
    months = page.locator("#publication-months .broad a")

    def middle(place: int) -> tuple[float, float]:
        box = months.nth(place).bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    there.go("/publication?name=The+Post&label=GPE")
    months.first.scroll_into_view_if_needed()
    page.mouse.move(*middle(1))
    page.mouse.down()
    page.mouse.move(*middle(2), steps=4)
    page.mouse.up()
    page.wait_for_url("**since=2016-02&until=2016-03**")
    assert "label=GPE" in page.url
    assert "20 articles from 2016-02 to 2016-03" in page.locator("#words ~ table").inner_text()
    assert "from 2016-02 to 2016-03" in page.locator("#publication figcaption").inner_text()
    page.get_by_role("link", name="As many months earlier").click()
    page.wait_for_url("**since=2015-12&until=2016-01**")
    page.get_by_role("link", name="All months").click()
    page.wait_for_url(lambda url: "since" not in url)
    months.first.focus()
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("ArrowRight")
    assert months.nth(1).evaluate("each => each === document.activeElement")
    assert page.locator(".tells:visible").inner_text() == "articles, 2016-02: 10"
    page.keyboard.press("Shift+Enter")
    page.wait_for_url("**since=2016-01&until=2016-02**")
    assert "&amp;" not in (months.first.get_attribute("href") or "")
    months.nth(3).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**since=2016-04&until=2016-04**")
    months.first.click()
    page.wait_for_url("**since=2016-01&until=2016-01**")
    assert there.page.locator("#publication-months .broad .mark[tabindex='0']").count() == 1


def test_the_nearest_value_is_told(explorer: str, visit: Callable[..., Visit]) -> None:
    there = visit(explorer, viewport={"width": 360, "height": 800})
    there.go("/compare?word=paris&word=berlin&log=1")
    page = there.page
    assert page.locator("#compare-months figcaption").inner_text() == (
        "“paris”, “berlin” in all publications, mentions per 1,000 articles by month "
        "(logarithmic; ○: none)"
    )
    box = page.locator("#compare-months .narrow circle.mark").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] - 3, box["y"] - 3)
    assert page.locator(".tells").inner_text().startswith("paris, 2016-01: 5,500 (110 in 20")
    page.mouse.move(1, 1)
    assert not page.locator(".tells").is_visible()


def test_pictures_as_files(
    explorer: str, visit: Callable[..., Visit], browser: Browser, tmp_path: Path
) -> None:
    """SVG that stands alone, and the same as PNG, twice as large."""
    paths = (
        *("publication.svg?name=markup", "publication-months.svg?name=the+post&since=2016-02"),
        *("publication-words-by-month.svg?name=the+post", "word-months.svg?word=paris&log=1"),
        *("compare.svg?name=the+post&name=markup", "compare-months.svg?word=paris&by=year"),
    )
    alone = browser.new_page()
    for path in paths:
        answer = HTTP.get(f"{explorer}/download/{path}").raise_for_status()
        assert answer.headers["content-type"].startswith("image/svg+xml")
        assert "unsafe" not in answer.headers["content-security-policy"]
        root = ElementTree.fromstring(answer.content)
        file = tmp_path / "picture.svg"
        file.write_bytes(answer.content)
        alone.goto(file.as_uri())
        width = "document.documentElement.getBoundingClientRect().width"
        assert alone.evaluate(width) == int(root.get("width", ""))
    alone.close()
    there = visit(explorer)
    there.go("/compare?name=the+post&name=the+herald")
    link = there.page.locator("#compare a.png")
    with there.page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == "Words typical of The Post and of The Herald.png"
    with Image.open(download.value.path()) as image:
        assert image.format == "PNG"
        assert image.size[0] == 2 * int(root.get("width", ""))
        assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
        assert len(set(image.convert("RGB").tobytes())) > 100
    changed = HTTP.get(f"{explorer}/download/publication-changes.csv?name=the+post").text
    assert changed.splitlines()[0].startswith(
        "publication,word,half,earlier,later,articles_earlier"
    )
    every = HTTP.get(f"{explorer}/download/publication-words-by-month.csv?name=the+post").text
    assert "The Post,paris,2016-01,100,10,paris" in every.splitlines()
    assert HTTP.get(f"{explorer}/download/publication-months.svg?name=markup").status_code == 404
    assert HTTP.get(f"{explorer}/download/word.svg?word=paris").status_code == 404
    assert HTTP.get(f"{explorer}/word?word=paris&by=week").status_code == 422


def test_comparison_by_keyboard(explorer: str, visit: Callable[..., Visit]) -> None:
    there = visit(explorer)
    there.go("/")
    page = there.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for name in ("The Post", "The Herald"):
        page.get_by_role("checkbox", name=f"Compare {name}").focus()
        page.keyboard.press("Space")
    page.get_by_role("button", name="Compare the selected ones").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare?**")
    heads = page.locator(".columns section")
    assert heads.nth(0).locator("tbody th").all_inner_texts() == ["berlin"]
    assert heads.nth(1).locator("tbody th").all_inner_texts() == ["paris"]


def test_clouds_by_keyboard(explorer: str, visit: Callable[..., Visit]) -> None:
    """One word of a cloud is reached with Tab, the others with the arrow keys."""
    there = visit(explorer, color_scheme="dark")
    page = there.page
    there.go("/?q=the")
    assert page.locator(".cards li").count() == 2
    clouds = page.locator("svg.cloud")
    clouds.nth(1).wait_for()
    stops = clouds.nth(0).locator("a[tabindex='0']")
    assert stops.count() == 1
    stops.focus()
    first = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("ArrowRight")
    second = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    last = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert len({first, second, last}) == 3
    assert stops.count() == 1
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.wait_for_url("**/word?word=**")
    there.go("/cloud.svg?name=the+post")  # alone
    assert (
        page.locator("text").first.evaluate("e => getComputedStyle(e).fill") == "rgb(147, 207, 141)"
    )
    page.get_by_role("link", name="paris, 400 mentions").click()
    page.wait_for_url("**/word?word=paris")


def test_publications_are_sorted_and_found(explorer: str, visit: Callable[..., Visit]) -> None:
    there = visit(explorer)
    page = there.page
    there.go("/")
    heads = page.locator(".cards h3")
    assert heads.nth(0).inner_text() == "The Herald"
    page.get_by_label("Name contains").fill("post")
    page.get_by_label("Sort by").select_option("name")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**q=post&sort=name")
    assert heads.all_inner_texts() == ["The Post"]
    page.get_by_label("Name contains").fill("no such")
    page.keyboard.press("Enter")
    page.get_by_text("No publication has").wait_for()


def test_a_store_is_watched_while_it_grows(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """Figures change without a reload; clouds stay; how fast it grows is shown."""
    url = f"sqlite:///{tmp_path / 's.db'}"
    with open_store(url, create=True) as store, ExitStack() as stack:

        def grow(number: int, name: str, articles: int) -> None:
            counts = Counts()
            for _ in range(articles):
                counts.add_article(name, [("paris", "GPE")])
            store.commit(counts.packed(), {BatchId("grows", str(number)): Counted()})

        grow(0, "The Post", 100)
        there = visit(stack.enter_context(exploring(tmp_path, url)))
        page = there.page
        there.go("/")
        page.locator("svg.cloud").evaluate("each => { each.kept = true }")
        assert page.locator("#now section").count() == 0
        grow(1, "The Post", 5)
        page.get_by_text("105 articles", exact=True).first.wait_for()
        assert page.locator("svg.cloud").evaluate("each => each.kept")
        grow(2, "The Herald", 1)
        page.get_by_role("link", name="The Herald").wait_for()
        page.locator("svg.cloud").nth(1).wait_for()
        assert page.locator("svg.cloud").nth(0).evaluate("each => each.kept")
        page.get_by_role("button", name="Pause updates").click()
        page.get_by_role("button", name="Pause updates", pressed=True).click()
        for number in range(3, 100):
            grow(number, "The Post", 1)
            if page.locator("svg.rates").count():
                break
            page.wait_for_timeout(500)
        told = page.locator("svg.rates").get_attribute("aria-label") or ""
        assert re.match("Articles a second over the last 2 minutes: counted, .* now, ", told)


def test_downloads(explorer: str) -> None:
    address = f"{explorer}/download"
    answer = HTTP.get(f"{address}/publication.csv?name=slashes")
    assert answer.headers["content-disposition"] == 'attachment; filename="publication-slashes.csv"'
    assert "\r\nslashes,'=1+1,ORG,1,'=1+1\r\n" in answer.text
    parquet = HTTP.get(f"{address}/publication.parquet?name=slashes").content
    assert "=1+1" in set(pd.read_parquet(io.BytesIO(parquet))["word"])
    whole = HTTP.get(f"{address}/publication.csv?name=The+Post").text
    assert len(whole.splitlines()) == 123
    word = HTTP.get(f"{address}/word.csv?word=paris").text
    assert word.splitlines()[1:] == ["The Post,paris,400,10000.0", "The Herald,paris,40,1000.0"]
    compared = HTTP.get(f"{address}/compare.csv?name=the+post&name=the+herald").text
    assert compared.splitlines()[1].startswith("The Post,paris,400,40,")
    assert len(HTTP.get(f"{address}/publications.csv").text.splitlines()) == 8
    assert HTTP.get(f"{address}/secrets.csv").status_code == 404
    assert HTTP.get(f"{address}/publication.csv?name=nobody").status_code == 404


def test_links_are_relative_and_lead_somewhere(explorer: str) -> None:
    """Under whatever path a proxy puts the pages."""
    known: set[str] = set()
    with httpx.Client() as http:
        for path in (*PATHS, "/no/such/page", "/download/nothing.csv"):
            text = http.get(explorer + path).text
            links = re.findall(r'(?:href|src|action|data-src)="([^"#][^"]*)"', text)
            assert not [each for each in links if each.startswith("/")]
            known |= _links(http, explorer + path)
        for each in sorted(known):
            assert http.get(each).status_code == 200, each


@pytest.mark.parametrize(
    ("fixture", "kind"),
    [
        pytest.param("prefixed", Kind(strips=True), marks=pytest.mark.slow),
        pytest.param("prefixed", Kind(strips=False), marks=pytest.mark.slow),
        ("explorer", Kind(strips=True, says=True)),
    ],
)
def test_pages_behind_a_proxy(
    request: pytest.FixtureRequest, visit: Callable[..., Visit], fixture: str, kind: Kind
) -> None:
    """From the prefix alone, without a slash, everything is found, and nothing asked elsewhere."""
    with ReverseProxy(request.getfixturevalue(fixture), "/news/site", kind) as proxy:
        there = visit(proxy.url)
        page = there.page
        there.go("")
        page.locator("svg.cloud").get_by_role("link", name="berlin, 360 mentions").click()
        page.wait_for_url(f"{proxy.url}/word?word=berlin")
        there.go("?q=post&sort=name")
        page.locator("#cards").get_by_role("link", name="The Post").click()
        page.wait_for_url(f"{proxy.url}/publication?name=the+post")
        page.get_by_role("link", name="daskingest").click()
        page.wait_for_url(f"{proxy.url}/")
        there.go("/no/such/page")
        page.get_by_role("link", name="Back to the overview").click()
        page.wait_for_url(f"{proxy.url}/")
        with page.expect_response(lambda answer: "/live" in answer.url) as live:
            there.go("")
        assert live.value.status == 200
        wrong = [each for each in proxy.asked if not each.startswith("/news/site")]
        assert wrong == []
        with httpx.Client() as http:
            links = {
                each for path in (*PATHS, "", "/no/x") for each in _links(http, proxy.url + path)
            }
            for each in sorted(links):
                assert http.get(each).status_code == 200, each


def _links(http: httpx.Client, address: str) -> set[str]:
    """Where a page leads, and what it loads."""
    found = re.findall(r'(?:href|src|data-src)="([^"#][^"]*)"', http.get(address).text)
    assert found
    return {urljoin(address, html.unescape(each)) for each in found if "://" not in each}


def test_headers_and_wrong_requests(explorer: str) -> None:
    for path in PATHS:
        answer = HTTP.get(explorer + path)
        assert answer.status_code == (404 if "nobody" in path else 200), path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert SCRIPT not in answer.text
    unknown = HTTP.get(f"{explorer}/publication?name=the+pst").text
    assert "did you mean 'The Post'" in html.unescape(unknown)
    assert HTTP.get(f"{explorer}/publication?name=the+post&after=x").status_code == 404
    many = "&".join(f"name={name}" for name in ("the post", "the herald", *HOSTILE))
    assert "At most 6" in HTTP.get(f"{explorer}/compare?{many}").text
    assert HTTP.post(f"{explorer}/try", data={"text": "x" * 20_001}).status_code == 413
    assert HTTP.post(f"{explorer}/try", content=b"x" * 300_000).status_code == 413
    assert HTTP.post(f"{explorer}/try", content=b"text=%00%ff%zz", timeout=60).is_success


def test_a_service_at_work(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    server = Server(tmp_path, "--private", DASKINGEST_API_KEY="secret")
    try:
        until(lambda: server.answers("/readyz"))
        assert HTTP.get(server.url).status_code == 401
        there = visit(server.url, http_credentials={"username": "anybody", "password": "secret"})
        there.go("/")
        page = there.page
        assert "Nothing has been counted yet" in page.inner_text("main")
        assert page.get_by_role("link", name="Dask dashboard").get_attribute("href")
        article = {"publication": "The <i>Post</i>", "content": "Angela Merkel went to Paris."}
        HTTP.post(
            f"{server.url}/articles",
            json=[article] * 3,
            headers={"Authorization": "Bearer secret"},
        ).raise_for_status()
        page.get_by_role("link", name="The <i>Post</i>").wait_for()  # without a reload
        assert re.search(r"Saved\s+3", page.inner_text("#live"))
        rates = page.get_by_role("img", name="Articles a second over the last")
        rates.wait_for()
        assert "coming in" in (rates.text_content() or "")
        top = "each => each.getBoundingClientRect().top"
        assert rates.evaluate(top) < page.get_by_text("Sort by").evaluate(top)
        there.go("/try")
        page.fill("#text", "<b>Angela Merkel</b> went to Paris.\n\nAnd שלום.")
        page.get_by_role("button", name="Find the entities").click()
        page.locator("mark").first.wait_for()
        marks = page.locator("mark").all_inner_texts()
        assert "Paris GPE" in marks
        assert page.locator(".article").inner_text().startswith("<b>Angela Merkel")
        assert server.status({"access_token": "secret"})["accepted"] == 3
    finally:
        assert server.stop() == 0, server.output


def test_an_address_that_others_reach_needs_a_key(store: str, tmp_path: Path) -> None:
    program = Program(tmp_path, "explore", "--store", store, "--host", "0.0.0.0", "--port", "0")
    assert program.wait() == 2
    assert "DASKINGEST_API_KEY" in program.output
    program = Program(tmp_path, "explore", "--store", f"sqlite:///{tmp_path}/none.db")
    assert program.wait() == 1
    assert "nothing has been counted there yet" in program.output


def test_pages_can_be_measured(explorer: str, store: str) -> None:
    found = list(measure(explorer, psutil.Process(), store, 2))
    assert [each.kind for each in found] == list(pages(1, "", ""))
    assert all(len(each.taken) == 2 for each in found)

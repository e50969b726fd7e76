"""What a page costs a reader who comes for the first time: bytes, seconds until there is text, jumps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from playwright.sync_api import Browser

FAST_3G = {"latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
CHROME_FAST_3G = FAST_3G | {"latency": 562.5, "downloadThroughput": 1.44e6 / 8}
SLOWER = 4  # than this machine: the processor of a cheap phone
WATCH = """
    window.shift = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
"""


@dataclass
class Load:
    """What came over the wire for a page before the reader did anything, and what was seen of it."""

    size: int = 0  # bytes, headers included
    first_text: float = 0.0  # seconds until the first contentful paint
    shift: float = 0.0  # all layout shifts together
    requests: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)  # what it asked of other hosts, and did not get


def weigh(
    browser: Browser, address: str, *, width: int = 390, line: Mapping[str, float] | None = None
) -> Load:
    """Open a page with an empty cache, on a slow line and a slow processor if a line is given."""
    load = Load()
    context = browser.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    page.add_init_script(WATCH)
    chrome = context.new_cdp_session(page)
    chrome.send("Network.enable")
    chrome.send("Network.setBlockedURLs", {"urls": ["https://*"]})
    if line:
        chrome.send("Network.emulateNetworkConditions", {"offline": False, **line})
        chrome.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})

    def finished(event: dict[str, float]) -> None:
        load.size += int(event["encodedDataLength"])

    def asked(event: dict[str, dict[str, str]]) -> None:
        url = event["request"]["url"]
        if url.startswith("https:"):
            load.elsewhere.append(url)
        elif url.startswith("http:"):
            load.requests.append(url)

    chrome.on("Network.loadingFinished", finished)
    chrome.on("Network.requestWillBeSent", asked)
    page.goto(address, timeout=120_000)
    page.wait_for_load_state("networkidle", timeout=120_000)
    paints = "performance.getEntriesByName('first-contentful-paint').map((paint) => paint.startTime)"
    load.first_text = page.evaluate(paints)[0] / 1000
    load.shift = page.evaluate("window.shift")
    context.close()
    return load

"""Checks the links of a built book: each file and each anchor that a page names must be there."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors and the links of a page."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def main(root):
    pages = {path: Page(path) for path in root.rglob("*.html")}
    broken = []
    checked = 0
    for path, page in pages.items():
        # These pages are not read at their own address: print.html holds the whole book, 404.html
        # is shown at any address, and toc.html is shown within other pages.
        if path.name in ("print.html", "404.html", "toc.html"):
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            checked += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists():
                broken.append(f"{path.relative_to(root)}: {link}: there is no such file")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                broken.append(f"{path.relative_to(root)}: {link}: there is no such anchor")
    print("\n".join(sorted(set(broken)) or [f"{checked} links of {len(pages)} pages resolve"]))
    return 1 if broken or not checked else 0


sys.exit(main(Path(sys.argv[1]).resolve()))

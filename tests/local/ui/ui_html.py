"""A page read back into facts."""

from __future__ import annotations

from html.parser import HTMLParser

from starlette.testclient import TestClient


class Element:
    """An element with its attributes, children and text."""

    def __init__(self, tag: str, attributes: dict[str, str], parent: Element | None) -> None:
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.content: list[Element | str] = []

    def all(self, tag: str = "", **attributes: str) -> list[Element]:
        """Elements below with this tag and these attributes; ``class_`` is one of the classes."""
        found: list[Element] = []
        for item in self.content:
            if isinstance(item, str):
                continue
            wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
            classes = item.attributes.get("class", "").split()
            same = all(
                value in classes if name == "class" else item.attributes.get(name) == value
                for name, value in wanted.items()
            )
            if same and tag in ("", item.tag):
                found.append(item)
            found += item.all(tag, **attributes)
        return found

    def one(self, tag: str = "", **attributes: str) -> Element:
        """The only such element."""
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} elements <{tag} {attributes}>"
        return found[0]

    @property
    def text(self) -> str:
        """What a reader sees, with single spaces."""
        return " ".join(self._raw().split())

    def _raw(self) -> str:
        return "".join(item if isinstance(item, str) else item._raw() for item in self.content)


_VOID = {"meta", "link", "input", "img", "br", "col", "hr", "wbr"}


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {}, None)
        self.at = self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.content.append(element)
        if tag not in _VOID:
            self.at = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.at.content.append(Element(tag, {name: value or "" for name, value in attrs}, self.at))

    def handle_endtag(self, tag: str) -> None:
        assert self.at.tag == tag, f"</{tag}> closes <{self.at.tag}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.content.append(data)


def parse(html: str) -> Element:
    """The page as a tree; fails when its elements are not closed in order."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    assert parser.at is parser.root, f"<{parser.at.tag}> is not closed"
    ids = [element.attributes["id"] for element in parser.root.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids)), "an id is there twice"
    return parser.root


def table(element: Element) -> list[list[str]]:
    """The body rows of a table as text."""
    return [[cell.text for cell in row.all("td")] for row in element.one("tbody").all("tr")]


def get(client: TestClient, url: str, status: int = 200) -> Element:
    answer = client.get(url)
    assert answer.status_code == status, answer.text[:500]
    return parse(answer.text)


def facts(page: Element) -> dict[str, str]:
    """The strip of totals: label to value."""
    strip = page.one("dl", class_="strip")
    return {name.text: value.text for name, value in zip(strip.all("dt"), strip.all("dd"), strict=True)}


def names(page: Element) -> list[str]:
    return [row.one("td", class_="name").text for row in page.all("tr", class_="row")]

"""An XML text as elements that know their lines. A document type is refused, and with it every entity of its own."""

from dataclasses import dataclass, field
from xml.parsers import expat

MAX_DEPTH = 50


class NotXml(ValueError):
    """The text is no XML that is read here; says why, and in which line and column, from 1."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column


@dataclass(slots=True)
class Element:
    """One element, with the text before its first child."""

    tag: str
    line: int
    column: int
    text: str = ""
    children: "list[Element]" = field(default_factory=list)

    def all(self, *path: str) -> "list[Element]":
        """Return the elements at the end of a path of tags."""
        found = [self]
        for tag in path:
            found = [child for element in found for child in element.children if child.tag == tag]
        return found

    def word(self, tag: str) -> str:
        """Return the text of the first child with a tag, without the space around it; empty where there is none."""
        return next((child.text.strip() for child in self.children if child.tag == tag), "")


def parse(text: str) -> Element:
    """Return the root element; raises NotXml."""
    parser = expat.ParserCreate()
    root = Element("", 1, 1)
    path = [root]

    def begin(tag: str, _: dict[str, str]) -> None:
        element = Element(tag, parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)
        path[-1].children.append(element)
        path.append(element)
        if len(path) > MAX_DEPTH:
            raise NotXml(f"this file is nested more than {MAX_DEPTH} deep", element.line, element.column)

    def end(_: str) -> None:
        path.pop()

    def characters(found: str) -> None:
        if not path[-1].children:
            path[-1].text += found

    def refuse_document_type(*_: object) -> None:
        raise NotXml("it has a document type, which no procedure needs", parser.CurrentLineNumber, 1)

    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = refuse_document_type
    parser.buffer_text = True
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        reason = f"this is not XML: {expat.errors.messages.get(error.code, 'it cannot be read')}"
        raise NotXml(reason, error.lineno, error.offset + 1) from None
    return root.children[0]

"""Links lead somewhere, and every page can be reached from the map."""

from pathlib import Path

import pytest

from .pages import DOCS, DOORS, PAGES, ROOT, anchors, blocks, links, name_of

MAP = DOCS / "README.md"
BUILT_ELSEWHERE = ("design", "decisions")
"""Folders that the map names as a whole."""
LANGUAGES = {"console", "json", "python", "sh", "text", "toml", ""}


@pytest.mark.parametrize("page", [*PAGES, *DOORS], ids=name_of)
def test_a_link_leads_to_a_page_and_its_heading(page: Path) -> None:
    for target in links(page):
        if "://" in target:
            continue
        file, _, fragment = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.is_relative_to(ROOT), f"{target} leaves the project"
        assert there.exists(), f"{target}: there is no such file"
        if fragment:
            assert fragment in anchors(there), f"{target}: no such heading among {sorted(anchors(there))}"


def test_the_map_leads_to_every_page() -> None:
    reached, new = set(), {MAP}
    while new:
        reached |= new
        targets = {(page.parent / target.partition("#")[0]).resolve() for page in new for target in links(page)}
        new = {target for target in targets if target.suffix == ".md" and target.exists()} - reached
    expected = {page for page in PAGES if page.relative_to(DOCS).parts[0] not in BUILT_ELSEWHERE}
    assert expected - reached == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_says_what_it_is(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= LANGUAGES

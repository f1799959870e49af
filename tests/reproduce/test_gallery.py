"""The gallery shows the library as it is, with a picture of each protocol that can run, in few bytes."""

from pathlib import Path

import pytest

from labctl.reproduce import acceptance
from tests.stations import ROOT

GALLERY = ROOT / "docs" / "gallery"
PROTOCOLS = sorted((ROOT / "protocols").glob("*/*.toml"))
MOST_BYTES = 30_000


@pytest.mark.parametrize("path", PROTOCOLS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_page_shows_each_protocol_as_it_is(path: Path) -> None:
    page = (GALLERY / f"{path.parent.name}.md").read_text("utf-8")
    assert f"\n## {path.stem}\n" in page
    assert path.read_text("utf-8") in page, "run scripts/gallery again"


def test_there_is_a_small_picture_of_each_protocol_that_can_run_and_no_other() -> None:
    names = {each.protocol.removesuffix(".toml").replace("/", "-") for each in acceptance()}
    pictures = {path.stem: path.stat().st_size for path in GALLERY.glob("*.png")}
    assert set(pictures) == names
    assert max(pictures.values()) < MOST_BYTES

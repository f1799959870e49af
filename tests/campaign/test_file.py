"""Campaign files: what they unfold to, and the place of everything that keeps a trial from running."""

import shutil
from pathlib import Path

import pytest

from labctl.campaign.file import Campaign, Head, load_campaign
from labctl.cells.shelf import Shelf
from labctl.errors import ProtocolError
from tests.docs.pages import DOCS, ROOT, blocks, quoted, tables
from tests.stations import HEAD

PROTOCOL = (
    HEAD.replace(
        "[cell]\nkind",
        '[inputs]\nrate = { default = "C/10", max = "C/2" }\ncycles = { default = 2, min = 1 }\n[cell]\nkind',
        1,
    )
    + """
[[step]]
counts = "cycle"
repeat = "{cycles}"
do = [ { charge = "{rate}", until = "1 h" }, { discharge = "{rate}", until = "1 h" } ]
"""
)
CAMPAIGN = """[campaign]
protocol   = "protocols/rate.toml"
vary       = { rate = ["C/10", "C/5"], cycles = [1, 3] }
replicates = 2
cells      = ["a", "b", "c", "d", "e", "f", "g", "h"]
stations   = ["A1", "A2", "A3"]
"""


def loaded(folder: Path, text: str, protocol: str = PROTOCOL) -> Campaign:
    (folder / "protocols").mkdir(exist_ok=True)
    (folder / "protocols" / "rate.toml").write_text(protocol)
    shelf = Shelf.read(folder / "cells")
    for name in "abcdefgh":
        if not (folder / "cells" / f"{name}.toml").exists():
            shelf.add(name, {}, {})
    (folder / "rates.toml").write_text(text)
    return load_campaign(folder / "rates.toml", Shelf.read(folder / "cells"))


def refusal(folder: Path, text: str, protocol: str = PROTOCOL) -> str:
    with pytest.raises(ProtocolError) as caught:
        loaded(folder, text, protocol)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_campaign_unfolds_to_a_cell_for_each_value_and_replicate(tmp_path: Path) -> None:
    campaign = loaded(tmp_path, CAMPAIGN)
    assert (campaign.name, campaign.protocol_name, campaign.varied) == ("rates", "test", ("rate", "cycles"))
    assert [(dict(t.values), t.replicate, t.cell.name, t.station) for t in campaign.trials] == [
        ({"rate": "C/10", "cycles": "1"}, 1, "a", "A1"),
        ({"rate": "C/10", "cycles": "1"}, 2, "b", "A2"),
        ({"rate": "C/10", "cycles": "3"}, 1, "c", "A3"),
        ({"rate": "C/10", "cycles": "3"}, 2, "d", "A1"),
        ({"rate": "C/5", "cycles": "1"}, 1, "e", "A2"),
        ({"rate": "C/5", "cycles": "1"}, 2, "f", "A3"),
        ({"rate": "C/5", "cycles": "3"}, 1, "g", "A1"),
        ({"rate": "C/5", "cycles": "3"}, 2, "h", "A2"),
    ]


def test_a_campaign_names_its_protocol_as_commands_do(tmp_path: Path) -> None:
    path = loaded(tmp_path, CAMPAIGN).protocol
    shelf = Shelf.read(tmp_path / "cells")

    def refused(name: str, *folders: Path) -> str:
        (tmp_path / "rates.toml").write_text(CAMPAIGN.replace("protocols/rate.toml", name))
        with pytest.raises(ProtocolError) as caught:
            load_campaign(tmp_path / "rates.toml", shelf, lambda: folders)
        return str(caught.value).replace(f"{tmp_path}/", "")

    (tmp_path / "rates.toml").write_text(CAMPAIGN.replace("protocols/rate.toml", "rate"))
    assert load_campaign(tmp_path / "rates.toml", shelf, lambda: (tmp_path / "protocols",)).protocol == path
    there = 'rates.toml:2:14: error[file]: no protocol is called "rates" in protocols'
    assert refused("rates", tmp_path / "protocols").startswith(there)
    assert 'no protocol is called "rate" in no folder' in refused("rate")
    shutil.copytree(tmp_path / "protocols", tmp_path / "more")
    assert 'several protocols are called "rate"' in refused("rate", tmp_path / "protocols", tmp_path / "more")


def test_replicates_alone_and_any_station(tmp_path: Path) -> None:
    text = '[campaign]\nname = "twice"\nprotocol = "protocols/rate.toml"\nreplicates = 2\ncells = ["a", "b"]\n'
    campaign = loaded(tmp_path, text + 'inputs = { rate = "C/3" }\n')
    assert campaign.name == "twice"
    assert [(t.values, t.inputs, t.station) for t in campaign.trials] == [((), {"rate": "C/3"}, None)] * 2


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("protocols/rate.toml", "rate.toml", 'rates.toml:2:14: error[file]: there is no protocol "rate.toml"'),
        (
            "protocols/rate.toml",
            "../../../rate.toml",
            'rates.toml:2:14: error[file]: "../../../rate.toml" is no protocol of this laboratory',
        ),
        ("protocols/rate.toml", "/etc/rate.toml", 'error[file]: "/etc/rate.toml" is no protocol of this laboratory'),
        (
            "protocols/rate.toml",
            "protocols/passwd",
            'error[file]: no protocol is called "protocols/passwd" in no folder',
        ),
        ('cells      = ["a", ', 'cells      = ["z", ', 'rates.toml:5:15: error[cell]: there is no cell "z"'),
        ('"b", "c"', '"a", "c"', 'rates.toml:5:20: error[cell]: "a" stands here twice'),
        (', "h"', "", "rates.toml:5:14: error[cell]: 4 combination(s) x 2 replicate(s) need 8 cells, not 7"),
        ("rate = [", "rat = [", 'rates.toml:3:16: error[input]: protocols/rate.toml has no input "rat"'),
        ('"C/5"]', '"1C"]', 'rates.toml:3:32: error[input]: rate: "1C" is above the input\'s max of C/2'),
        ("[1, 3]", '["one", 3]', 'rates.toml:3:50: error[input]: cycles: "one" is no whole number'),
        ("[1, 3]", "[1, 1]", 'rates.toml:3:49: error[input]: "cycles" has a value twice'),
        ("[1, 3]", "[]", 'rates.toml:3:49: error[input]: "cycles" has no values'),
        ("replicates = 2", "replicates = 0", "rates.toml:4:14: error[value]: 0 is less than 1"),
        ("replicates", "replicate", 'rates.toml:4:1: error[unknown-key]: "replicate" is unknown here (did you mean'),
        ("replicates = 2", "inputs = { cycles = 2 }", '"cycles" is varied and set as well'),
        ("[campaign]", "[campaig]", '"campaig" is unknown here (did you mean "campaign"?)'),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in CAMPAIGN
    assert sentence in refusal(tmp_path, CAMPAIGN.replace(old, new, 1))


def test_a_protocol_or_cell_that_does_not_fit_is_told_where_that_stands(tmp_path: Path) -> None:
    told = refusal(tmp_path, CAMPAIGN, PROTOCOL.replace('until = "1 h" }, {', 'until = "1 V" }, {'))
    assert told.startswith("protocols/rate.toml:")
    loaded(tmp_path, CAMPAIGN)
    (tmp_path / "cells" / "b.toml").write_text('schema = "1"\n[cell]\nbore = "wide"\n')
    told = refusal(tmp_path, CAMPAIGN)
    assert 'there is no cell "b" that can be read (cells/b.toml: "wide" does not begin with' in told


def test_a_campaign_that_would_never_end_is_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path, CAMPAIGN.replace("replicates = 2", "replicates = 1000"))
    assert "this unfolds to 4000 trials" in told


def test_the_example_of_the_page_is_a_campaign(tmp_path: Path) -> None:
    (example,) = [block.text for block in blocks(DOCS / "reference" / "campaigns.md") if block.language == "toml"]
    shelf = Shelf.read(tmp_path / "cells")
    for name in ("CD-031", "CD-032", "CD-033", "CD-034"):
        shelf.add(name, {}, {})
    shutil.copytree(ROOT / "protocols", tmp_path / "protocols")
    (tmp_path / "campaigns").mkdir()
    (tmp_path / "campaigns" / "rates.toml").write_text(example)
    campaign = load_campaign(tmp_path / "campaigns" / "rates.toml", Shelf.read(tmp_path / "cells"))
    assert len(campaign.trials) == 4
    keys = {quoted(row[0])[0] for table in tables(DOCS / "reference" / "campaigns.md") for row in table.rows}
    assert keys == set(Head.model_fields)

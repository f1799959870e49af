"""Protocols by name: found in every folder once, refused where a name is ambiguous, never outside their folder."""

from pathlib import Path

import pytest

from labctl.errors import ProtocolError
from labctl.protocol import folders
from labctl.protocol.folders import commit_of, entries, find

TEXT = 'schema = "1"\n[protocol]\nname = "p"\ntitle = "A title"\n[[step]]\nrest = "1 h"\n'
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def put(folder: Path, *names: str, text: str = TEXT) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def refusal(name: str, *places: Path) -> str:
    with pytest.raises(ProtocolError) as refused:
        find(name, places)
    return refused.value.findings[0].reason


def test_a_name_is_the_way_from_its_folder_or_its_end(tmp_path: Path) -> None:
    one = put(tmp_path / "one", "ma-2024/lto-0.2C.toml", "ma-2024/lto-0.5C.toml", "rate.toml")
    assert [entry.name for entry in entries((one,))] == ["ma-2024/lto-0.2C", "ma-2024/lto-0.5C", "rate"]
    assert find("ma-2024/lto-0.2C", (one,)) == find("lto-0.2C", (one,)) == one / "ma-2024" / "lto-0.2C.toml"
    assert entries((one,))[0].title() == "A title"
    assert "no protocol of that name" in refusal("0.2C", one)


def test_a_name_of_several_is_refused_with_all_of_them(tmp_path: Path) -> None:
    one, other = (
        put(tmp_path / "one", "a/cccv.toml", "b/cccv.toml"),
        put(tmp_path / "other", "a/cccv.toml", "cccv.toml"),
    )
    both = f"{one / 'a' / 'cccv.toml'}, {other / 'a' / 'cccv.toml'}"
    assert refusal("a/cccv", one, other) == f'several protocols are called "a/cccv": {both}'
    assert find("cccv", (one, other)) == other / "cccv.toml", "the whole name of one of them"
    assert "several" in refusal("cccv", one)


def test_other_files_are_no_rivals(tmp_path: Path) -> None:
    one = put(put(tmp_path, "a/CD-031.toml"), "cells/CD-031.toml", text='schema = "1"\n[cell]\n')
    assert find("CD-031", (one,)) == one / "a" / "CD-031.toml"
    put(one, "broken.toml", text="=")
    assert entries((one,))[1].title() is None


def test_a_folder_that_two_names_lead_to_is_one(tmp_path: Path) -> None:
    one = put(tmp_path / "one", "cccv.toml")
    (tmp_path / "two").symlink_to(one)
    assert find("cccv", (one, tmp_path / "two")) == one / "cccv.toml"


def test_links_out_of_a_folder_and_hidden_ones_are_not_seen(tmp_path: Path) -> None:
    put(tmp_path / "away", "secret.toml")
    one = put(tmp_path / "one", ".git/hidden.toml")
    (one / "link.toml").symlink_to(tmp_path / "away" / "secret.toml")
    assert entries((one,)) == ()
    assert "no protocol" in refusal("../away/secret", one)


def test_a_folder_that_is_none_or_far_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal("a", tmp_path / "nowhere") == "there is no such folder of protocols"
    monkeypatch.setattr(folders, "MOST_FILES", 1)
    assert refusal("a", put(tmp_path / "one", "a.toml", "b.toml")) == "this folder holds more than 1 files"


def test_the_commit_of_a_checkout(tmp_path: Path) -> None:
    one = put(tmp_path, "protocols/a.toml", "protocols/deep/b.toml") / "protocols"
    assert commit_of(one) is None
    put(tmp_path, ".git/HEAD", text=f"{COMMIT}\n")
    assert commit_of(one) == commit_of(tmp_path) == COMMIT
    assert commit_of(one / "deep") is None, "a folder deep in a checkout may be one that git ignores"
    put(tmp_path, ".git/HEAD", text="ref: refs/heads/main\n")
    assert commit_of(one) is None
    put(tmp_path, ".git/packed-refs", text=f"# pack-refs\n{COMMIT} refs/heads/main\n")
    assert commit_of(one) == COMMIT
    put(tmp_path, ".git/refs/heads/main", text=f"{COMMIT[::-1]}\n")
    assert commit_of(one) == COMMIT[::-1]
    put(tmp_path, ".git/HEAD", text="ref: ../../etc/passwd\n")
    assert commit_of(one) is None

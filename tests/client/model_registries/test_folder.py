"""A plain folder as a registry."""

import hashlib
import json
import multiprocessing
from pathlib import Path

import pytest
from defuse.model_registries.errors import AliasMoved, RegistryError
from defuse.model_registries.folder import FolderRegistry


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for version in ("1", "2", "3"):
        folder = tmp_path / "registry" / "digits" / version
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(f"version {version}".encode())
    (tmp_path / "registry" / "digits" / "aliases").mkdir()
    (tmp_path / "registry" / "digits" / "aliases" / "champion").write_text("1\n")
    return tmp_path / "registry"


@pytest.fixture
def registry(place: Path) -> FolderRegistry:
    return FolderRegistry(place)


def test_a_version_is_fetched_with_its_digest(registry: FolderRegistry, place: Path, tmp_path: Path) -> None:
    file = registry.fetch("digits", "2", tmp_path)
    assert (file.path.read_bytes(), file.sha256) == (b"version 2", hashlib.sha256(b"version 2").hexdigest())
    (place / "digits" / "2" / "model.onnx").write_bytes(b"other")
    assert file.path.read_bytes() == b"version 2", "what was fetched does not change with the registry"


def test_an_alias_moves_from_the_version_that_bears_it(registry: FolderRegistry, place: Path) -> None:
    registry.move_alias("digits", "champion", "2", expected="1")
    assert registry.aliased_version("digits", "champion") == "2"
    assert (place / "digits" / "aliases" / "champion").read_text() == "2\n"


def test_an_alias_that_went_elsewhere_stays_there(registry: FolderRegistry) -> None:
    registry.move_alias("digits", "champion", "3", expected="1")
    with pytest.raises(AliasMoved, match="expected champion of digits at version 1, it is at 3"):
        registry.move_alias("digits", "champion", "2", expected="1")
    assert registry.aliased_version("digits", "champion") == "3"


def _try_to_move(place: Path, version: str, start, moved) -> None:
    start.wait()
    try:
        FolderRegistry(place).move_alias("digits", "champion", version, expected="1")
        moved.put(version)
    except AliasMoved:
        moved.put(None)


def test_of_many_gates_at_once_one_moves_the_alias(place: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, moved = context.Event(), context.Queue()
    rivals = [
        context.Process(target=_try_to_move, args=(place, version, start, moved))
        for version in ("2", "3") * 2
    ]
    for rival in rivals:
        rival.start()
    start.set()
    winners = [winner for winner in (moved.get(timeout=60) for _ in rivals) if winner]
    for rival in rivals:
        rival.join(60)
    assert [FolderRegistry(place).aliased_version("digits", "champion")] == winners


def test_tags_are_added_replaced_and_removed(registry: FolderRegistry, place: Path) -> None:
    registry.tag("digits", "2", {"a": "1", "b": "1"})
    registry.tag("digits", "2", {"b": "2", "a": None, "never": None})
    assert registry.tags("digits", "2") == {"b": "2"}
    assert json.loads((place / "digits" / "2" / "tags.json").read_text()) == {"b": "2"}
    assert registry.tags("digits") == {}


def test_files_are_attached_and_leave_nothing_half_written(
    registry: FolderRegistry, place: Path, tmp_path: Path
) -> None:
    (tmp_path / "verdict.json").write_text("{}")
    registry.attach("digits", "2", [tmp_path / "verdict.json"], "defuse/e1")
    (attached,) = (place / "digits" / "2" / "defuse" / "e1").iterdir()
    assert (attached.name, attached.read_text()) == ("verdict.json", "{}")


def test_an_alias_that_nobody_bears_says_how_to_set_it(registry: FolderRegistry, place: Path) -> None:
    with pytest.raises(RegistryError) as refused:
        registry.aliased_version("digits", "challenger")
    assert f"echo VERSION > {place}/digits/aliases/challenger" in str(refused.value)


@pytest.mark.parametrize(
    ("model", "version", "said"),
    [
        ("letters", "1", "there is no model letters"),
        ("digits", "9", "digits has no version 9"),
        ("digits", "aliases", "digits has no version aliases"),
        ("../digits", "1", "without / and no dot in front"),
        ("digits", "..", "without / and no dot in front"),
        ("digits", "", "without / and no dot in front"),
    ],
)
def test_what_is_not_there_is_named(
    registry: FolderRegistry, tmp_path: Path, model: str, version: str, said: str
) -> None:
    with pytest.raises(RegistryError, match=said):
        registry.fetch(model, version, tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}'])
def test_broken_tags_are_named(registry: FolderRegistry, place: Path, text: str) -> None:
    (place / "digits" / "tags.json").write_text(text)
    with pytest.raises(RegistryError, match=r"tags\.json"):
        registry.tags("digits")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="found none"):
        FolderRegistry(tmp_path / "nowhere")

from __future__ import annotations

from pathlib import Path

from daskingest.cli.reference import options, reference

FILE = Path(__file__).parent.parent / "cluster" / "CONFIGURATION.md"


def test_the_file_is_current() -> None:
    assert FILE.read_text() == reference(), (
        "generate it again: python -m daskingest.cli.reference > cluster/CONFIGURATION.md"
    )


def test_each_option_has_its_variable_and_one_meaning() -> None:
    found = options()
    assert {"--store", "--json", "--log-level", "-n"} <= found.keys()
    for name, same in found.items():
        # Where several commands have it, they say the same of it; but each has its own address.
        assert len(same) == {"--url": 2, "--host": 3, "--port": 2}.get(name, 1), name
        usual = same[0].variable
        assert usual == "DASKINGEST_" + name.lstrip("-").upper().replace("-", "_")
        if name != "--url":
            assert len({each.variable for each in same}) == len(same)


def test_it_tells_what_the_commands_tell() -> None:
    store, level = options()["--store"], options()["--log-level"]
    assert store[0].help.endswith("firestore://PROJECT[/DATABASE].")
    assert {"run-csv", "serve", "doctor", "prune"} <= store[0].defaults.keys()
    runs = dict.fromkeys(("run", "run-csv", "explore"), "`warning`")
    assert level[0].defaults == runs | dict.fromkeys(("serve", "worker", "scheduler"), "`info`")
    for variable in ("DASKINGEST_API_KEY", "FIRESTORE_EMULATOR_HOST"):
        assert f"| `{variable}` |" in FILE.read_text()

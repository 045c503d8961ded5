"""The folders as they are in the repository and as they are installed."""

import importlib.util
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def package_folders() -> dict[str, Path]:
    """Return each package's name and its folder, as setup.cfg has them."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["package_dir"].strip().splitlines()
    pairs = (line.split("=") for line in lines)
    return {name.strip(): ROOT / folder.strip() for name, folder in pairs}


def package_files() -> list[Path]:
    """Return every file of the packages, relative to the root."""
    tops = {path.relative_to(ROOT).parts[0] for path in package_folders().values()}
    return sorted(
        path.relative_to(ROOT)
        for top in tops
        for path in (ROOT / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def unlinked_files() -> list[str]:
    """Return the files that a strict editable installation does not know of yet."""
    spec = importlib.util.find_spec("postroom")
    if spec is None or not spec.submodule_search_locations:
        return ["all of them: postroom is not installed"]
    installed = [Path(location) for location in spec.submodule_search_locations]
    return [
        str(path)
        for path in package_files()
        if not any((location / path).exists() for location in installed)
    ]

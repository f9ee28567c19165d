"""Rewrites the golden files: texts that code makes, kept in the repository so that a change of them is seen in review.

`make golden` rewrites them; the tests compare what the code makes now with what is kept. A new kind of golden file is
one more function in `MAKERS`.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from mlopx import Pipeline
from mlopx.spec import json_schema, to_json

ROOT = Path(__file__).resolve().parent.parent
Made = Iterator[tuple[Path, str]]


def main() -> None:
    for path, text in goldens():
        before = path.read_text(encoding="utf-8") if path.exists() else None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        verdict = "new" if before is None else "unchanged" if before == text else "CHANGED"
        print(f"{verdict:10} {path.relative_to(ROOT)}")


def goldens() -> Made:
    """Every golden file: where it lies, and the text that the code makes now."""
    for make in MAKERS:
        yield from make()


def example_specs() -> Made:
    """The spec that each file in `pipelines/` builds to."""
    for path in sorted((ROOT / "pipelines").glob("*.py")):
        yield path.parent / "golden" / f"{path.stem}.json", to_json(load_example(path).build())


def spec_schema() -> Made:
    """The published JSON Schema of a pipeline spec."""
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    yield ROOT / "docs" / "pipeline-spec.schema.json", text


def load_example(path: Path) -> Pipeline:
    """Import a definition file and return the pipeline that is named like the file; submits nothing."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Pipeline = getattr(module, path.stem)
    return found


MAKERS: list[Callable[[], Made]] = [example_specs, spec_schema]


if __name__ == "__main__":
    main()

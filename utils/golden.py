"""Rewrites the golden files: texts that code makes, kept in the repository so that a change of them is seen in review.

`make golden` rewrites them; the tests compare what the code makes now with what is kept. A new kind of golden file is
one more function in `MAKERS`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import ModuleType

from pydantic.fields import FieldInfo

from mlopx import Pipeline
from mlopx.spec import json_schema, to_json
from server.api.app import build_app
from server.api.services import Services
from server.cli.placing import place_offline, subject_of_spec
from server.cluster.static_file import read_nodes
from server.exchange.document import schema as problem_schema
from server.platforms.kubeflow.placing import PlacementMode
from server.settings import Settings, variable
from server.simulation.pipeline_lines import pipeline_schema
from server.simulation.scenario import scenario_schema

ROOT = Path(__file__).resolve().parent.parent
SETTINGS_HEAD = """# Settings

Each is an environment variable, or a line `NAME=value` of `server/.env`; the environment wins. An unknown name or a bad
value stops the start with a sentence that names it. `mlopx-server config` shows each value and where it came from.

| variable | default | meaning |
|---|---|---|
"""
FIELDS = Settings.model_fields
Made = Iterator[tuple[Path, str]]


def main(argv: list[str]) -> int:
    """Write the files; with `--check` only say which are stale, and return 1 if any is."""
    is_check, stale = "--check" in argv, 0
    for path, text in goldens():
        before = path.read_text(encoding="utf-8") if path.exists() else None
        verdict = "new" if before is None else "unchanged" if before == text else "CHANGED"
        stale += verdict != "unchanged"
        print(f"{verdict:10} {path.relative_to(ROOT)}")
        if not is_check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if is_check and stale:
        print("run: make golden")
    return int(is_check and stale > 0)


def goldens() -> Made:
    """Every golden file: where it lies, and the text that the code makes now."""
    for make in MAKERS:
        yield from make()


def example_specs() -> Made:
    """The spec that each file in `pipelines/` builds to."""
    for path in sorted((ROOT / "pipelines").glob("*.py")):
        yield path.parent / "golden" / f"{path.stem}.json", to_json(load_example(path).build())


def kubeflow_files() -> Made:
    """What each example becomes for Kubeflow, placed on the cluster that is kept beside them."""
    folder = ROOT / "pipelines" / "golden"
    nodes = read_nodes(folder / "cluster.toml")
    for path in sorted((ROOT / "pipelines").glob("*.py")):
        subject = subject_of_spec(load_example(path).build())
        placed = place_offline(subject, nodes, placer="custom", mode=PlacementMode.DEFAULT, pins={})
        yield folder / f"{path.stem}.kubeflow.yaml", placed.pipeline.text


def spec_schema() -> Made:
    """The published JSON Schema of a pipeline spec."""
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    yield ROOT / "docs" / "pipeline-spec.schema.json", text


def problem_file_schema() -> Made:
    """The published JSON Schema of a problem file."""
    text = json.dumps(problem_schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    yield ROOT / "docs" / "problem.schema.json", text


def scenario_schemas() -> Made:
    """The published JSON Schemas of a scenario file, and of the pipelines that it names."""
    for name, schema in (("scenario", scenario_schema()), ("scenario-pipeline", pipeline_schema())):
        text = json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        yield ROOT / "docs" / f"{name}.schema.json", text


def pictures() -> Made:
    """The pictures of the README."""
    for name, picture in load_module(ROOT / "images" / "draw.py").pictures().items():
        yield ROOT / "images" / name, picture


def settings_page() -> Made:
    """Every setting of the server."""
    rows = [f"| `{variable(name)}` | {_default(field)} | {field.description} |" for name, field in FIELDS.items()]
    yield ROOT / "docs" / "settings.md", SETTINGS_HEAD + "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    return "" if field.default is None or field.default == "" else f"`{field.default}`"


def openapi() -> Made:
    """The HTTP API."""
    document = build_app(no_server).openapi()
    yield ROOT / "docs" / "openapi.json", json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def no_server() -> AbstractAsyncContextManager[Services]:
    """Stands where the server would be; describing the API starts none."""
    raise NotImplementedError


def load_example(path: Path) -> Pipeline:
    """Import a definition file and return the pipeline that is named like the file; submits nothing."""
    found: Pipeline = getattr(load_module(path), path.stem)
    return found


def load_module(path: Path) -> ModuleType:
    """Import one file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


MAKERS: list[Callable[[], Made]] = [
    example_specs,
    kubeflow_files,
    spec_schema,
    problem_file_schema,
    pictures,
    settings_page,
    openapi,
    scenario_schemas,
]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

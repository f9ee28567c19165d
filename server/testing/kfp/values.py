"""What flows between tasks of a compiled pipeline: parameters and artifacts, and how a task's inputs are found.

Source: IR 2.1.0 (`TaskInputsSpec`, `DagOutputsSpec`) and the driver's rules for constants, defaults and selectors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Document = Mapping[str, Any]
SUCCEEDED, FAILED, SKIPPED, OMITTED = "Succeeded", "Failed", "Skipped", "Omitted"

_SELECTOR = re.compile(r"""parseJson\(string_value\)((?:\[[^\]]+\])*)""")
_PLACEHOLDER = re.compile(r"\{\{\$\.([^{}]+)\}\}")


@dataclass(slots=True)
class Values:
    """Parameters by name, and lists of artifacts by name (an artifact is its JSON in executor inputs)."""

    parameters: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass(slots=True)
class Ended:
    """How a task or a whole graph ended, with what came out."""

    state: str
    outputs: Values = field(default_factory=Values)
    error: str = ""


NOTHING = Ended(OMITTED)


class MissingInputError(Exception):
    """An input that nobody produced; the driver of the real thing fails with this."""


def task_inputs(task: Document, component: Document, own: Values, done: Mapping[str, Ended], facts: Document) -> Values:
    """The inputs of a task: from constants, from the graph's own inputs, from siblings; defaults for the rest.

    What a port of texts is given becomes text, as the driver does it.
    """
    given, declared = task.get("inputs") or {}, component.get("inputDefinitions") or {}
    found = Values()
    sources = (given.get("parameters") or {}).items()
    for name, source in sorted(sources, key=lambda one: "runtimeValue" in one[1]):
        is_optional = (declared.get("parameters") or {}).get(name, {}).get("isOptional", False)
        beside = Values({**own.parameters, **found.parameters})  # placeholders read the task's own inputs
        try:
            found.parameters[name] = _parameter(source, beside if "runtimeValue" in source else own, done, facts)
        except MissingInputError:
            if not is_optional:
                raise
    for name, port in (declared.get("parameters") or {}).items():
        if name not in found.parameters and "defaultValue" in port:
            found.parameters[name] = port["defaultValue"]
        is_text = port.get("parameterType") == "STRING" and found.parameters.get(name) is not None
        if is_text:
            found.parameters[name] = shown(found.parameters[name])
    for name, source in (given.get("artifacts") or {}).items():
        is_optional = (declared.get("artifacts") or {}).get(name, {}).get("isOptional", False)
        try:
            found.artifacts[name] = _artifacts(source, own, done)
        except MissingInputError:
            if not is_optional:
                raise
    return found


def graph_outputs(dag: Document, done: Mapping[str, Ended]) -> Values:
    """What a graph hands out: the named outputs of its tasks, the first that is there of several."""
    wanted, found = dag.get("outputs") or {}, Values()
    for name, source in (wanted.get("parameters") or {}).items():
        selectors = [source["valueFromParameter"]] if "valueFromParameter" in source else []
        selectors += (source.get("valueFromOneof") or {}).get("parameterSelectors", [])
        for one in selectors:
            outputs = done.get(one["producerSubtask"], NOTHING).outputs.parameters
            if one["outputParameterKey"] in outputs:
                found.parameters[name] = outputs[one["outputParameterKey"]]
                break
    for name, source in (wanted.get("artifacts") or {}).items():
        for one in source.get("artifactSelectors") or []:
            artifacts = done.get(one["producerSubtask"], NOTHING).outputs.artifacts
            if one["outputArtifactKey"] in artifacts:
                found.artifacts[name] = artifacts[one["outputArtifactKey"]]
                break
    return found


def collected(iterations: Sequence[Values]) -> Values:
    """The outputs of a loop: lists over its iterations; an iteration without the output is left out."""
    found = Values()
    for one in iterations:
        for name, value in one.parameters.items():
            found.parameters.setdefault(name, []).append(value)
        for name, artifacts in one.artifacts.items():
            found.artifacts.setdefault(name, []).extend(artifacts)
    return found


def typed(text: str, kind: str) -> Any:
    """A parameter output as its declared type."""
    if kind == "STRING":
        return text
    found = json.loads(text)
    return int(found) if kind == "NUMBER_INTEGER" else float(found) if kind == "NUMBER_DOUBLE" else found


def shown(value: Any) -> str:
    """A parameter's value as text inside a command: strings as they are, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)


def plain(value: Any) -> Any:
    """A value as the protocol's JSON writes it: every whole number without a point."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def filled(text: str, inputs: Values) -> str:
    """A text with the parameters that it names put in. Raises MissingInputError."""
    return str(_constant(text, inputs, {}))


def given_parameter(source: Document, own: Values, done: Mapping[str, Ended]) -> Any:
    """What an input of a task is given, without its selector. Raises MissingInputError."""
    return _plain(source, own, done, {})


def _parameter(source: Document, own: Values, done: Mapping[str, Ended], facts: Document) -> Any:
    value = _plain(source, own, done, facts)
    selector = source.get("parameterExpressionSelector")
    if selector:
        match = _SELECTOR.fullmatch(selector)
        if match is None:
            raise ValueError(f"selector {selector!r} is not understood")
        value = json.loads(value) if isinstance(value, str) else value
        for step in re.findall(r"\[([^\]]+)\]", match.group(1)):
            try:
                value = value[json.loads(step.replace("'", '"'))]
            except (TypeError, LookupError) as error:
                raise ValueError(f"selector {selector!r} finds nothing in {json.dumps(value)[:100]}") from error
    return value


def _plain(source: Document, own: Values, done: Mapping[str, Ended], facts: Document) -> Any:
    if "runtimeValue" in source:
        return _constant(source["runtimeValue"].get("constant"), own, facts)
    if "componentInputParameter" in source:
        return _there(own.parameters, source["componentInputParameter"], "the pipeline's own input")
    if "taskFinalStatus" in source:
        producer = source["taskFinalStatus"]["producerTask"]
        return _final_status(producer, done.get(producer), facts)
    wanted = source["taskOutputParameter"]
    producer = _finished(done, wanted["producerTask"])
    return _there(producer.outputs.parameters, wanted["outputParameterKey"], wanted["producerTask"])


def _artifacts(source: Document, own: Values, done: Mapping[str, Ended]) -> list[dict[str, Any]]:
    if "componentInputArtifact" in source:
        return list(_there(own.artifacts, source["componentInputArtifact"], "the pipeline's own input"))
    wanted = source["taskOutputArtifact"]
    producer = _finished(done, wanted["producerTask"])
    return list(_there(producer.outputs.artifacts, wanted["outputArtifactKey"], wanted["producerTask"]))


def _constant(value: Any, own: Values, facts: Document) -> Any:
    if not isinstance(value, str):
        return value

    def put(found: re.Match[str]) -> str:
        name = found.group(1)
        if name.startswith("inputs.parameters["):
            return shown(_there(own.parameters, name[len("inputs.parameters['") : -2], "the pipeline's own input"))
        return str(facts.get(name, found.group()))

    return _PLACEHOLDER.sub(put, value)


def _final_status(task: str, ended: Ended | None, facts: Document) -> dict[str, Any]:
    state = {SUCCEEDED: "SUCCEEDED", FAILED: "FAILED"}.get(ended.state if ended else "", "SKIPPED")
    error = {"error": {"code": 9, "message": ended.error or "a task failed"}} if ended and state == "FAILED" else {}
    name = str(facts.get("pipeline_job_resource_name", ""))
    return {"state": state, "pipelineTaskName": task, "pipelineJobResourceName": name, **error}


def _finished(done: Mapping[str, Ended], task: str) -> Ended:
    """A task whose output is read; who does not wait for it may come too early."""
    if task not in done:
        raise MissingInputError(f"producer task {task} has not ended")
    return done[task]


def _there(where: Mapping[str, Any], name: str, whose: str) -> Any:
    if name not in where:
        raise MissingInputError(f"{whose} has no {name!r}")
    return where[name]

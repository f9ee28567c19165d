"""Runs one task anywhere: reads a manifest, runs the user's function, writes what came out.

This file travels: inside a container's command, or executed in a forked child of a node's agent. So it is one file,
imports the standard library only, runs on Python 3.8 and later, and needs nothing writable but the output folders.
`run(manifest)` is the face; who starts a task writes the manifest.
"""

import __future__

import hashlib
import json
import linecache
import os
import resource
import sys
import traceback
import types


class Artifact(object):
    """A file or folder: `path` to read or write, `metadata` to keep with it."""

    type = "Artifact"

    def __init__(self, name="", path="", metadata=None, uri=""):
        self.name, self.path, self.uri = name, path, uri or path
        self.metadata = dict(metadata or {})


class Dataset(Artifact):
    type = "Dataset"


class Model(Artifact):
    type = "Model"


class Metrics(Artifact):
    type = "Metrics"

    def log_metric(self, name, value):
        self.metadata[name] = value


class ClassificationMetrics(Metrics):
    type = "ClassificationMetrics"

    def log_confusion_matrix(self, categories, matrix):
        rows = [list(row) for row in matrix]
        self.metadata["confusionMatrix"] = {"categories": list(categories), "matrix": rows}

    def log_roc_curve(self, fpr, tpr, thresholds):
        points = zip(map(float, fpr), map(float, tpr), map(float, thresholds))
        self.metadata["rocCurve"] = [{"fpr": f, "tpr": t, "threshold": h} for f, t, h in points]


class HTML(Artifact):
    type = "HTML"


class Markdown(Artifact):
    type = "Markdown"


class TaskInfo(object):
    """What the task was given: run, task, attempt, node, and the option that the placer chose."""

    def __init__(self, run_id, task, attempt, node, option):
        self.run_id, self.task, self.attempt, self.node, self.option = run_id, task, attempt, node, option


class Marker(object):
    """Stands for `Input` and `Output` in annotations."""

    def __class_getitem__(cls, item):
        return item


class Input(Marker):
    pass


class Output(Marker):
    pass


KINDS = {c.type: c for c in (Artifact, Dataset, Model, Metrics, ClassificationMetrics, HTML, Markdown)}
TYPES = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": (list, tuple), "dict": dict}


class TaskFailed(Exception):
    """A failure of which we know what to say."""

    def __init__(self, kind, message, hint=""):
        Exception.__init__(self, message)
        self.kind, self.hint = kind, hint


def run(manifest):
    """Run the task of a manifest (a dict) and return its result; also written to `result_path` if there is one."""
    result = {"state": "failed", "outputs": {}, "error": None}
    try:
        result["outputs"] = _run(manifest)
        result["state"] = "succeeded"
    except TaskFailed as error:
        result["error"] = {"kind": error.kind, "type": "", "message": str(error), "traceback": "", "hint": error.hint}
    except BaseException as error:
        result["error"] = _describe(error, manifest)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result["peak_memory_bytes"] = peak * (1 if sys.platform == "darwin" else 1024)
    if manifest.get("result_path"):
        write_json(manifest["result_path"], result)
    return result


def write_json(path, document):
    """Write a JSON file so that a reader sees all of it or none."""
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "w") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _run(manifest):
    function = _load(manifest)
    arguments, written = _arguments(manifest, function)
    for artifact in written.values():
        os.makedirs(os.path.dirname(artifact.path) or ".", exist_ok=True)
    returned = function(**arguments)
    return _collect(manifest["outputs"], written, returned)


def _load(manifest):
    """Execute the component's source under its own file name and line, and return its function."""
    name = manifest.get("file") or "<%s>" % manifest["task"]
    source = "\n" * (int(manifest.get("line") or 1) - 1) + manifest["source"]
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    module = types.ModuleType("__mlopx_task__")
    names = dict(KINDS, Input=Input, Output=Output, TaskInfo=TaskInfo)
    module.__dict__.update(names)
    for text in ("Any", "Dict", "List", "NamedTuple", "Optional", "Tuple", "Union"):
        module.__dict__[text] = getattr(__import__("typing"), text)
    sys.modules[module.__name__] = module
    flags = __future__.annotations.compiler_flag  # annotations are for the library; here they need not resolve
    exec(compile(source, name, "exec", flags, True), module.__dict__)
    return module.__dict__[manifest["entrypoint"]]


def _artifact(given, name):
    return KINDS.get(given.get("type"), Artifact)(name, given["path"], given.get("metadata"), given.get("uri", ""))


def _arguments(manifest, function):
    arguments, written = {}, {}
    for name, given in manifest["inputs"].items():
        if given["kind"] == "artifact":
            arguments[name] = _artifact(given, name)
        elif given["kind"] == "artifacts":
            items = [dict(item, type=item.get("type", given.get("type"))) for item in given["items"]]
            arguments[name] = [_artifact(item, name) for item in items]
        else:
            arguments[name] = given["value"]
    wanted = function.__code__.co_varnames[: function.__code__.co_argcount + function.__code__.co_kwonlyargcount]
    for name, declared in manifest["outputs"].items():
        if declared["kind"] == "artifact":
            written[name] = _artifact(declared, name)
            if name in wanted:
                arguments[name] = written[name]
    for name in wanted:
        if name not in arguments and "TaskInfo" in str(function.__annotations__.get(name)):
            info = [manifest.get(key) for key in ("run_id", "task", "attempt", "node", "option")]
            arguments[name] = TaskInfo(*info)
    return arguments, written


def _collect(declared, written, returned):
    """The outputs: returned values by name or position, and the artifacts that were written."""
    values = [name for name, port in declared.items() if port["kind"] == "parameter"]
    outputs = {name: {"value": value} for name, value in _values(values, returned).items()}
    for name, output in outputs.items():
        output["value"] = _checked(name, declared[name]["type"], output["value"])
    for name, artifact in written.items():
        outputs[name] = _measure(name, artifact)
    return outputs


def _values(names, returned):
    if not names:
        return {}
    if hasattr(returned, "_asdict"):
        returned = returned._asdict()
    if len(names) == 1 and not (isinstance(returned, dict) and set(returned) == set(names)):
        return {names[0]: returned}
    if isinstance(returned, (tuple, list)) and len(returned) == len(names):
        return dict(zip(names, returned))
    if isinstance(returned, dict) and set(returned) == set(names):
        return returned
    raise TaskFailed(
        "output",
        "the function must return %d values (%s), but it returned %r" % (len(names), ", ".join(names), returned),
        "return a NamedTuple, a tuple in that order, or a dict with those keys",
    )


def _checked(name, wanted, value):
    if hasattr(value, "item") and not isinstance(value, (str, bytes, dict, list)):
        value = value.item() if getattr(value, "ndim", 0) == 0 else value.tolist()
    if not isinstance(value, TYPES[wanted]) or (isinstance(value, bool) and wanted != "bool"):
        got = "nothing (None)" if value is None else "%s: %r" % (type(value).__name__, value)
        raise TaskFailed(
            "output", "output %r must be of type %s, but the function returned %s" % (name, wanted, got[:300])
        )
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        hint = "write it to an Output artifact, or turn it into plain numbers, texts, lists and dicts"
        raise TaskFailed("output", "output %r is not JSON: %s" % (name, error), hint)


def _measure(name, artifact):
    try:
        metadata = json.loads(json.dumps(artifact.metadata, default=lambda value: value.item()))
    except (TypeError, ValueError, AttributeError) as error:
        raise TaskFailed("output", "the metadata of output %r is not JSON: %s" % (name, error))
    if isinstance(artifact, Metrics) and not os.path.exists(artifact.path):
        write_json(artifact.path, metadata)
    if not os.path.exists(artifact.path):
        hint = "write a file or folder to %s.path before the function ends" % name
        raise TaskFailed("output", "output %r (%s) was not written" % (name, artifact.type), hint)
    size, digest = digest_of(artifact.path)
    return {"type": artifact.type, "path": artifact.path, "metadata": metadata, "size_bytes": size, "digest": digest}


def digest_of(path):
    """Size in bytes and `sha256:…` of a file, or of a folder's names and contents in sorted order."""
    whole, total = hashlib.sha256(), 0
    if not os.path.isdir(path):
        total = _feed(path, whole)
        return total, "sha256:" + whole.hexdigest()
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            part = hashlib.sha256()
            total += _feed(os.path.join(folder, name), part)
            relative = os.path.relpath(os.path.join(folder, name), path)
            whole.update(("%s\0%s\n" % (relative, part.hexdigest())).encode())
    return total, "sha256:" + whole.hexdigest()


def _feed(path, digest):
    total = 0
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
            total += len(block)
    return total


def _describe(error, manifest):
    """The user's own traceback, without our frames, and a hint where we have one."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__]
    text = "".join(traceback.format_list(own) + traceback.format_exception_only(type(error), error))
    kind, hint = "user-code", ""
    message = str(error) or type(error).__name__
    if isinstance(error, ImportError) and getattr(error, "name", None):
        kind = "import"
        package = error.name.split(".")[0]
        if isinstance(error, ModuleNotFoundError):
            hint = "%r is not installed here: add packages=[%r] to the component, or use an image that has it" % (
                package,
                package,
            )
        else:
            hint = "%r is here, but in a version that does not have this: name the one you need in packages" % package
    elif isinstance(error, MemoryError):
        kind = "oom"
    elif isinstance(error, SystemExit):
        kind, message = "exit-code", "the function called exit(%s)" % (error.code,)
    elif isinstance(error, NameError):
        hint = "a component's function runs alone: import and define what it needs inside the function"
    print(text, file=sys.stderr)
    return {"kind": kind, "type": type(error).__name__, "message": message, "traceback": text, "hint": hint}


def main(argv):
    """`task.py MANIFEST.json`: run it, exit 0 if it succeeded and 1 if not."""
    with open(argv[1]) as file:
        manifest = json.load(file)
    result = run(manifest)
    sys.stdout.flush()
    return 0 if result["state"] == "succeeded" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))

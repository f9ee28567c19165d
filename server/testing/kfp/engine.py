"""Executes one run: drivers, graphs, loops and conditions as KFP's backend has Argo do them, tasks by `launcher`.

Names of nodes are Argo's: `root.TASK-driver`, `root.TASK.executor`, `root.LOOP.iteration-iterations(0:0).
iteration-item.TASK.executor`, and `executor(1)` for a retry. A task that runs whatever happened is a hook of what it
waits for (`hooks`): `root.BEFORE.onExit.TASK.executor`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from server.domain.resources import Resources
from server.testing.kfp.claims import is_operation, operate
from server.testing.kfp.conditions import holds
from server.testing.kfp.configs import passed_on, resolved
from server.testing.kfp.hooks import FINISHED, Order, order_of, phase_of
from server.testing.kfp.launcher import Job, Result, launch
from server.testing.kfp.nodes import requests_of
from server.testing.kfp.pods import Pod
from server.testing.kfp.records import RunRecord
from server.testing.kfp.surroundings import environment_of, fingerprint_of, mounts_of
from server.testing.kfp.values import (
    FAILED,
    OMITTED,
    SKIPPED,
    SUCCEEDED,
    Document,
    Ended,
    MissingInputError,
    Values,
    collected,
    filled,
    graph_outputs,
    task_inputs,
)
from server.testing.kfp.workflow import Workflow, node_id_of
from server.testing.kfp.world import World

HOOK, GONE, STOPPED = ".onExit.", "pod deleted", "Step exceeded its deadline"


class Execution:
    """One run on its way."""

    def __init__(self, world: World, record: RunRecord, workflow: Workflow) -> None:
        self._world, self._record, self._workflow = world, record, workflow
        self._spec, self._platform = record.pipeline, record.platform
        executors = ((self._platform.get("platforms") or {}).get("kubernetes") or {}).get("deploymentSpec") or {}
        self._configs: Mapping[str, Any] = executors.get("executors") or {}
        self._stopped = asyncio.Event()

    async def run(self) -> Ended:
        """From the root's driver to the last task."""
        root = self._spec["root"]
        declared = (root.get("inputDefinitions") or {}).get("parameters") or {}
        parameters = {name: port["defaultValue"] for name, port in declared.items() if "defaultValue" in port}
        parameters.update(self._record.parameters)
        await self._driver("root-driver")
        return await self._graph(root, "root", Values(parameters))

    def stop(self) -> None:
        """Stop the run, as a deadline that is over does: what waits or runs of it fails, and hooks run all the same."""
        self._stopped.set()

    def pods(self) -> list[Pod]:
        """The run's pods."""
        run_id = self._record.id
        return [pod for pod in self._world.pods.all.values() if pod.labels["pipeline/runid"] == run_id]

    async def _graph(self, component: Document, path: str, inputs: Values) -> Ended:
        tasks = component["dag"]["tasks"]
        order = order_of(tasks, has_hooks=self._world.has_exit_hooks)
        done: dict[str, Ended] = {}
        loop = asyncio.get_running_loop()
        futures: dict[str, asyncio.Future[Ended]] = {name: loop.create_future() for name in order.before}
        self._say(path, "DAG", "Running")

        async def one(name: str) -> None:
            for before in order.before[name]:
                await futures[before]
            done[name] = await self._task(name, tasks[name], path, inputs, done, order)
            await self._hook(name, tasks, path, inputs, done, order)
            futures[name].set_result(done[name])

        async with asyncio.TaskGroup() as group:
            for name in order.before:
                group.create_task(one(name))
        state = phase_of(order, done)
        self._say(path, "DAG", state)
        failed = next((ended.error for ended in done.values() if ended.state == FAILED), "")
        return Ended(state, graph_outputs(component["dag"], done), failed if state == FAILED else "")

    async def _hook(
        self, name: str, tasks: Document, path: str, inputs: Values, done: dict[str, Ended], order: Order
    ) -> None:
        """Run what runs when a task has ended, however; of one that was skipped or omitted nothing runs."""
        hook = order.hooks.get(name)
        if hook is None or done[name].state not in (SUCCEEDED, FAILED) or "parameterIterator" in tasks[name]:
            return
        around = f"{path}.{name}.onExit"
        self._say(around, "DAG", "Running")
        done[hook] = await self._task(hook, tasks[hook], around, inputs, done, order)
        self._say(around, "DAG", done[hook].state)

    async def _task(
        self, name: str, task: Document, above: str, own: Values, done: Mapping[str, Ended], order: Order
    ) -> Ended:
        path = f"{above}.{name}"
        trigger = task.get("triggerPolicy") or {}
        before = [done[one].state for one in order.before.get(name, ())]
        if trigger.get("strategy") != FINISHED and any(state != SUCCEEDED for state in before):
            self._say(path, "Skipped", OMITTED, message="omitted: depends condition not met")
            return Ended(OMITTED)
        component = self._spec["components"][task["componentRef"]["name"]]
        try:
            if "artifactIterator" in task:
                raise ValueError("ArtifactIterator is not implemented")
            inputs = task_inputs(task, component, own, done, self._facts(name))
            if "parameterIterator" in task:
                return await self._loop(task, component, path, inputs)
            await self._driver(f"{path}-driver")
            if trigger.get("condition") and not holds(trigger["condition"], inputs.parameters):
                self._say(path, "Skipped", SKIPPED, message="when condition evaluated false")
                return Ended(SKIPPED)
        except (MissingInputError, ValueError) as error:
            driver = f"{path}.iteration-driver" if "parameterIterator" in task else f"{path}-driver"
            self._say(driver, "Pod", FAILED, message=f"driver: failed to resolve inputs: {error}")
            return Ended(FAILED, error=str(error))
        if "dag" in component:
            return await self._graph(component, path, inputs)
        return await self._container(name, task, component, path, inputs, own, done)

    async def _loop(self, task: Document, component: Document, path: str, inputs: Values) -> Ended:
        iterator = task["parameterIterator"]
        source = iterator["items"]
        items = json.loads(source["raw"]) if "raw" in source else inputs.parameters.get(source["inputParameter"])
        items = json.loads(items) if isinstance(items, str) else items
        if not isinstance(items, list):
            raise ValueError(f"the loop's items are no list, but {json.dumps(items)[:100]}")
        trigger = (task.get("triggerPolicy") or {}).get("condition")
        await self._driver(f"{path}.iteration-driver")
        if trigger and not holds(trigger, inputs.parameters):
            self._say(f"{path}.iteration-iterations", "Skipped", SKIPPED)
            items = []
        self._say(path, "DAG", "Running")
        width = asyncio.Semaphore(int((task.get("iteratorPolicy") or {}).get("parallelismLimit") or len(items) or 1))

        async def one(index: int, item: Any) -> Ended:
            async with width:
                values = replace(inputs, parameters={**inputs.parameters, iterator["itemInput"]: item})
                around = f"{path}.iteration-iterations({index}:{index})"
                await self._driver(f"{around}.iteration-item-driver")
                return await self._graph(component, f"{around}.iteration-item", values)

        found = await asyncio.gather(*(one(index, item) for index, item in enumerate(items)))
        failures = [ended for ended in found if ended.state == FAILED]
        state = FAILED if failures else SUCCEEDED
        self._say(path, "DAG", state)
        outputs = collected([ended.outputs for ended in found])
        for name in (component.get("outputDefinitions") or {}).get("parameters") or {}:
            outputs.parameters.setdefault(name, [])
        return Ended(state, outputs, failures[0].error if failures else "")

    async def _container(
        self,
        name: str,
        task: Document,
        component: Document,
        path: str,
        inputs: Values,
        own: Values,
        done: Mapping[str, Ended],
    ) -> Ended:
        label = component["executorLabel"]
        executor = self._spec["deploymentSpec"]["executors"][label]
        if "importer" in executor:
            return self._import(executor["importer"], component, path, inputs)
        if is_operation(executor):
            return self._claim(executor, name, path, inputs)
        container = executor["container"]
        fingerprint = fingerprint_of(component, container, inputs) if _caches(task) else None
        if fingerprint in self._world.cache:
            self._say(path, "DAG", SUCCEEDED)
            self._say(f"{path}.executor", "Skipped", SKIPPED)
            return Ended(SUCCEEDED, self._world.cache[fingerprint])
        try:
            config, for_job = passed_on(component, resolved(self._configs.get(label) or {}, own, done))
            asked = requests_of(container, inputs)
            container = {**container, "image": filled(str(container.get("image", "")), inputs)}
        except (MissingInputError, ValueError) as error:
            self._say(f"{path}-driver", "Pod", FAILED, message=f"driver: {error}")
            return Ended(FAILED, error=str(error))
        for port, declared in ((component.get("inputDefinitions") or {}).get("parameters") or {}).items():
            if declared.get("parameterType") == "TASK_CONFIG":
                inputs.parameters[port] = for_job
        tries = 1 + int((task.get("retryPolicy") or {}).get("maxRetryCount") or 0)
        self._say(path, "DAG", "Running")
        ended = Ended(FAILED)
        for number in range(tries):
            where = f"{path}.executor({number})" if tries > 1 else f"{path}.executor"
            ended = await self._attempt(name, component, container, asked, config, where, inputs)
            if ended.state == SUCCEEDED or ended.error == STOPPED:
                break
        if tries > 1:
            self._say(f"{path}.executor", "Retry", ended.state)
        self._say(path, "DAG", ended.state)
        if ended.state == SUCCEEDED:
            self._world.outputs[(self._record.id, path)] = ended.outputs
            if fingerprint is not None:
                self._world.cache[fingerprint] = ended.outputs
        return ended

    async def _attempt(
        self,
        name: str,
        component: Document,
        container: Document,
        asked: Resources,
        config: Mapping[str, Any],
        path: str,
        inputs: Values,
    ) -> Ended:
        pod = self._pod(path, "system-container-impl", asked, config, container["image"])
        pod.command = ["/kfp-launcher/launch", "--executor_input", self._promised(path, component)]
        self._say(path, "Pod", "Pending", templateName="system-container-impl")
        work = asyncio.create_task(self._work(name, pod, path, component, container, inputs))
        why = await self._or_ended(work, pod, path)
        if why:
            return Ended(FAILED, error=why)
        result = work.result()
        phase = SUCCEEDED if result.exit_code == 0 else FAILED
        message = "" if phase == SUCCEEDED else f"Error (exit code {result.exit_code})"
        self._world.pods.end(pod, result.exit_code, result.reason, result.message, result.log)
        self._say(path, "Pod", phase, message=message or None)
        return Ended(phase, result.outputs, message)

    async def _or_ended(self, work: asyncio.Task[Any], pod: Pod, path: str) -> str:
        """Wait for what a pod does; why it came to nothing, if its pod was deleted or the run was stopped before."""
        lost = asyncio.create_task(pod.lost.wait())
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            can_end = {work, lost} if HOOK in path else {work, lost, stopped}
            await asyncio.wait(can_end, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return ""
            why = GONE if lost.done() else STOPPED
            self._say(path, "Pod", "Error" if why == GONE else FAILED, message=why)  # before the pod itself ends
            if why == GONE:
                return why
            if pod.started_at is None:
                self._world.pods.remove(pod)
            else:
                self._world.pods.end(pod, 143, "Error")
            return why
        finally:
            for one in (work, lost, stopped):
                one.cancel()
            await asyncio.gather(work, lost, stopped, return_exceptions=True)

    async def _work(
        self, name: str, pod: Pod, path: str, component: Document, container: Document, inputs: Values
    ) -> Result:
        await self._world.quota(lambda why: self._say(path, "Pod", "Pending", message=why))
        await self._world.pods.start(pod)
        assert pod.node is not None
        self._say(path, "Pod", "Running", hostNodeName=pod.node.name)
        while path_of_task(path) in self._world.holding:
            await asyncio.sleep(0.01)
        self._world.started.append((self._record.id, path))
        await asyncio.sleep(self._world.fetch_seconds)
        job = Job(
            component=component,
            container=container,
            inputs=inputs,
            folder=self._folder(path),
            environment=environment_of(self._world, pod, container),
            mounts=mounts_of(self._world, pod.config),
            facts=self._facts(name),
            timeout_seconds=float(pod.config.get("activeDeadlineSeconds") or 0) or None,
        )
        return await launch(job)

    def _folder(self, path: str) -> Path:
        return self._world.folder / self._record.id / path.replace("(", "_").replace(":", "-").replace(")", "")

    def _promised(self, path: str, component: Document) -> str:
        """Where the launcher shall leave the artifacts, as its command says it."""
        folder = self._folder(path).relative_to(self._world.folder)
        outputs = {}
        for name, port in ((component.get("outputDefinitions") or {}).get("artifacts") or {}).items():
            uri = f"minio://mlpipeline/{folder}/{name}"
            outputs[name] = {"artifacts": [{"name": name, "uri": uri, "type": port.get("artifactType") or {}}]}
        return json.dumps({"outputs": {"artifacts": outputs}})

    async def _driver(self, path: str) -> None:
        """A driver pod: it asks for little and may go anywhere; here it takes no time."""
        if not self._world.has_driver_pods:
            return
        is_root = path == "root-driver"
        template = "system-dag-driver" if is_root else "system-container-driver"
        pod = self._pod(path, template, Resources(cpu_millicores=100, memory_bytes=64 * 2**20, pods=1), {}, "driver")
        why = await self._or_ended(asyncio.create_task(self._world.pods.start(pod)), pod, path)
        if why:
            raise ValueError(why)
        self._world.pods.end(pod, 0, "Completed")
        node = pod.node.name if pod.node else None
        self._say(path, "Pod", SUCCEEDED, templateName=template, hostNodeName=node)

    def _pod(self, path: str, template: str, asked: Resources, config: Mapping[str, Any], image: str) -> Pod:
        name = f"{self._workflow.name}.{path}"
        node_id = node_id_of(self._workflow.name, name)
        metadata = config.get("podMetadata") or {}
        role = "launcher" if template == "system-container-impl" else "driver"
        return Pod(
            name=f"{self._workflow.name}-{template}-{node_id.rsplit('-', 1)[-1]}",
            namespace=self._record.namespace,
            labels={
                **(metadata.get("labels") or {}),
                "pipeline/runid": self._record.id,
                "workflows.argoproj.io/workflow": self._workflow.name,
            },
            annotations={
                **(metadata.get("annotations") or {}),
                "workflows.argoproj.io/node-name": name,
                "workflows.argoproj.io/node-id": node_id,
                "pipelines.kubeflow.org/runtime-role": role,
            },
            asked=asked,
            config=config,
            image=image,
            created_at=self._world.now(),
        )

    def _import(self, importer: Document, component: Document, path: str, inputs: Values) -> Ended:
        given = importer.get("artifactUri") or {}
        uri = given.get("constant") or inputs.parameters.get(given.get("runtimeParameter", ""), "")
        outputs = Values()
        for name, port in ((component.get("outputDefinitions") or {}).get("artifacts") or {}).items():
            one = {"name": name, "type": port.get("artifactType") or {}, "uri": uri, "metadata": {}}
            outputs.artifacts[name] = [one]
        self._say(path, "Pod", SUCCEEDED, templateName="system-importer")
        return Ended(SUCCEEDED, outputs)

    def _claim(self, executor: Document, name: str, path: str, inputs: Values) -> Ended:
        """The driver's pod carries the task's own name, as an importer's does."""
        try:
            outputs = operate(self._world, executor, self._workflow.name, name, inputs)
        except ValueError as error:
            self._say(path, "Pod", FAILED, message=f"driver: {error}")
            return Ended(FAILED, error=str(error))
        self._say(path, "Pod", SUCCEEDED, templateName="system-container-driver")
        return Ended(SUCCEEDED, outputs)

    def _say(self, path: str, type_: str, phase: str, **more: Any) -> None:
        self._workflow.put(path, type_, phase, self._world.now(), **more)

    def _facts(self, task: str) -> dict[str, str]:
        return {
            "pipeline_job_uuid": self._record.id,
            "pipeline_job_name": self._workflow.name,
            "pipeline_job_resource_name": self._workflow.name,
            "pipeline_task_name": task,
            "pipeline_task_uuid": f"{self._record.id}-{task}",
        }


def path_of_task(path: str) -> str:
    """The name of the task that an executor's path belongs to."""
    return path.rsplit(".executor", 1)[0].rsplit(".", 1)[-1]


def _caches(task: Document) -> bool:
    return bool((task.get("cachingOptions") or {}).get("enableCache"))

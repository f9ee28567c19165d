"""The double as a whole: start it, order faults, look behind it.

Faults: `failing` answers that many next calls with a status; `is_down` answers everything with 503, `is_health_hidden`
the question how it is; `lost_answers` carries out that many calls of `create` and then breaks the connection,
`lost_experiments` does so with experiments; `silent_answers` are as many that come only after `silence_seconds`, too
late for a client that waits less; `delay_seconds` slows every call; `token` and `is_multi_user` demand
credentials, and `rights` says who may do things in which namespaces.
`forgets_stops`: a stop is not in the history, as where the run ends before Kubeflow's agent reports it.
`has_tasks_api`: it tells of tasks, as servers without ML Metadata do. `packs_folders`: its UI server hands out folders.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from server.testing.kfp.api import application
from server.testing.kfp.compiling import require_compiles
from server.testing.kfp.engine import Execution
from server.testing.kfp.filters import BadRequestError
from server.testing.kfp.nodes import VirtualNode
from server.testing.kfp.pods import Pods
from server.testing.kfp.records import ExperimentRecord, RunRecord
from server.testing.kfp.strict import require_run
from server.testing.kfp.workflow import Workflow
from server.testing.kfp.world import World
from server.testing.kube import KubeDouble
from server.testing.serving import serving


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One recorded call of the KFP API."""

    method: str
    path: str
    user: str = ""


class KubeflowDouble:
    """Kubeflow Pipelines with its cluster. `async with double.serve() as (kfp_url, kube_url)`."""

    def __init__(self, folder: Path, nodes: Sequence[VirtualNode], *, now: Callable[[], datetime]) -> None:
        self.now, self.kube = now, KubeDouble()
        self.world = World(Pods(self.kube, nodes, now), folder, now)
        self.runs: dict[str, RunRecord] = {}
        self.experiments: dict[str, ExperimentRecord] = {}
        self.workflows: dict[str, Workflow] = {}
        self.calls: list[ApiCall] = []
        self.failing: list[int] = []
        self.is_health_hidden = False
        self.lost_answers = 0
        self.lost_experiments = 0
        self.silent_answers = 0
        self.silence_seconds = 1.0
        self.delay_seconds = 0.0
        self.is_down = False
        self.is_multi_user = False
        self.token: str | None = None
        self.rights: dict[str, set[str]] | None = None
        self.version = "2.17.0"
        self.has_tasks_api = False
        self.forgets_stops = False
        self.packs_folders = True
        self._executions: dict[str, tuple[Execution, asyncio.Task[None]]] = {}
        self._numbers = itertools.count(1)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[tuple[str, str]]:
        """Addresses of the KFP API and of the Kubernetes API, until the end of the block."""
        async with self.kube.serve() as kube_url, serving(application(self)) as url:
            try:
                yield url, kube_url
            finally:
                tasks = [task for _, task in self._executions.values()]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def create(self, body: Any, *, user: str = "") -> RunRecord:
        """Take a run and begin it. Raises BadRequestError, and NotCompiledError."""
        pipeline, platform = require_run(body)
        require_compiles(pipeline, has_hooks=self.world.has_exit_hooks)
        experiment = self._experiment(body.get("experiment_id"))
        number = next(self._numbers)
        record = RunRecord(
            id=f"00000000-0000-4000-8000-{number:012d}",
            display_name=body.get("display_name") or pipeline["pipelineInfo"]["name"],
            created_at=self.now(),
            namespace=experiment.namespace,
            experiment_id=experiment.id,
            description=body.get("description", ""),
            service_account=body.get("service_account", ""),
            pipeline=pipeline,
            platform=platform,
            parameters=(body.get("runtime_config") or {}).get("parameters") or {},
            user=user,
        )
        record.move("PENDING", self.now())
        self.runs[record.id] = record
        name = f"{pipeline['pipelineInfo']['name'][:40]}-{number:05d}"
        workflow = Workflow(self.kube.objects, name, record.namespace or "kubeflow", record.id, self.now())
        record.namespace = record.namespace or "kubeflow"
        self.workflows[record.id] = workflow
        self._begin(record, workflow)
        return record

    def experiment(self, display_name: str, namespace: str = "") -> ExperimentRecord:
        """Make an experiment."""
        found = ExperimentRecord(f"e{next(self._numbers)}", display_name, self.now(), namespace)
        self.experiments[found.id] = found
        return found

    def terminate(self, run_id: str) -> None:
        """Stop a run: CANCELING now, FAILED when its pods are gone."""
        record = self.runs[run_id]
        if record.finished_at is not None:
            raise BadRequestError("the run is not running")
        record.move("CANCELING", self.now())
        if self.forgets_stops:
            record.history.pop()
        self.workflows[run_id].stop()
        self._executions[run_id][0].stop()

    def delete(self, run_id: str) -> None:
        """Somebody deletes a run by hand: record, Workflow and pods."""
        execution, task = self._executions.pop(run_id)
        self.workflows.pop(run_id).collect()
        for pod in execution.pods():
            self.world.pods.remove(pod)
        del self.runs[run_id]
        task.cancel()

    def collect(self, run_id: str) -> None:
        """The controller removes an ended Workflow and its pods."""
        self.workflows[run_id].collect()
        for pod in self._executions[run_id][0].pods():
            self.world.pods.remove(pod)

    async def ended(self, run_id: str, seconds: float = 120.0) -> RunRecord:
        """The run at its end."""
        async with asyncio.timeout(seconds):
            while self.runs[run_id].finished_at is None:
                await asyncio.sleep(0.005)
        return self.runs[run_id]

    def _experiment(self, experiment_id: str | None) -> ExperimentRecord:
        if experiment_id:
            if experiment_id not in self.experiments:
                raise BadRequestError(f"no experiment {experiment_id}")
            return self.experiments[experiment_id]
        if self.is_multi_user:
            raise BadRequestError("in multi-user mode a run needs an experiment")
        return next((one for one in self.experiments.values() if one.display_name == "Default"), None) or (
            self.experiment("Default")
        )

    def _begin(self, record: RunRecord, workflow: Workflow) -> None:
        execution = Execution(self.world, record, workflow)
        self._executions[record.id] = (execution, asyncio.create_task(self._drive(execution, record, workflow)))

    async def _drive(self, execution: Execution, record: RunRecord, workflow: Workflow) -> None:
        record.move("RUNNING", self.now())
        try:
            ended = await execution.run()
        except Exception as error:
            workflow.end("Error", self.now(), f"the double failed: {error!r}")
            record.move("FAILED", self.now())
            raise
        message = "" if workflow.is_stopped else ended.error
        workflow.end(ended.state, self.now(), message)
        record.error = message
        record.move("SUCCEEDED" if ended.state == "Succeeded" else "FAILED", self.now())

"""Puts together what watches the server at work: log lines, figures, and traces where a collector is named."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.api.work_meters import WorkMeters
from server.components.chronicle import Chronicle
from server.components.dispatcher import Surroundings
from server.components.journal import Journal
from server.components.scheduler import Scheduler
from server.components.tracing import Span, Tracing, environment, passed_on
from server.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

EXPORT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Observing:
    """The parts; `surroundings` is what tasks are told of their trace."""

    meters: WorkMeters
    exporter: TraceExporter | None

    def surroundings(self) -> Surroundings:
        """What each attempt gets into its environment."""
        return passed_on if self.exporter is None else environment

    def listen(self, journal: Journal, scheduler: Scheduler) -> None:
        """Follow what happens from now on."""
        for notice in (Chronicle().notice, self.meters.notice):
            journal.listen(notice)
        scheduler.on_decided(lambda _, outcome: self.meters.decided(outcome))
        scheduler.on_ruled(self.meters.decided)
        if self.exporter is not None:
            tracing = Tracing(self.exporter.tell)
            journal.listen(tracing.notice)
            scheduler.on_decided(tracing.decided)

    async def aclose(self) -> None:
        """Send what is left of the traces."""
        if self.exporter is not None:
            await asyncio.to_thread(self.exporter.close)


def observing(endpoint: str | None) -> Observing:
    """What watches; traces go to the collector at `endpoint` (OTLP over HTTP). Raises ConfigurationError."""
    return Observing(WorkMeters(), None if endpoint is None else TraceExporter(otlp_processor(endpoint)))


def otlp_processor(endpoint: str) -> SpanProcessor:
    """Sends spans in batches, from a thread of its own. Raises ConfigurationError where the extra is missing."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, but {error.name} is not installed",
            hint="install the server with the extra `otel`, or unset it",
        ) from error
    address = endpoint.rstrip("/")
    address = address if address.endswith("/v1/traces") else f"{address}/v1/traces"
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=address, timeout=EXPORT_SECONDS))


class TraceExporter:
    """Makes spans of OpenTelemetry out of ours, and hands them to a processor."""

    def __init__(self, processor: SpanProcessor) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._processor = processor
        self._resource = Resource.create({"service.name": "mlopx"})
        self._scope = InstrumentationScope("mlopx")

    def tell(self, span: Span) -> None:
        """Hand a span over; it is sent later."""
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

        def context(span_id: bytes) -> SpanContext:
            return SpanContext(
                trace_id=int.from_bytes(span.trace_id, "big"),
                span_id=int.from_bytes(span_id, "big"),
                is_remote=False,
                trace_flags=TraceFlags(TraceFlags.SAMPLED),
            )

        attributes: Mapping[str, str | int | float] = span.attributes
        self._processor.on_end(
            ReadableSpan(
                name=span.name,
                context=context(span.span_id),
                parent=None if span.parent_id is None else context(span.parent_id),
                resource=self._resource,
                attributes=attributes,
                status=Status(StatusCode.OK) if span.error is None else Status(StatusCode.ERROR, span.error),
                start_time=int(span.started_at.timestamp() * 1e9),
                end_time=int(span.ended_at.timestamp() * 1e9),
                instrumentation_scope=self._scope,
            )
        )

    def close(self) -> None:
        """Send what is left, and end."""
        self._processor.shutdown()


__all__ = ["Observing", "TraceExporter", "observing", "otlp_processor"]

"""Where the Kubernetes API is and who we are there: from a kubeconfig file, or from the pod we run in.

Source: the kubeconfig format (client-go `clientcmd/api/v1`) and the service account's mounted files.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from server.domain.errors import ConfigurationError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
EXEC_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One way to the API.

    Attributes:
        url: address of the API server.
        token: gives the bearer token for the next request, or None; a token file is read anew each time.
        tls: what to trust and which certificate to show; False turns the check off, None for plain HTTP.
        namespace: where we are at home.
        headers: sent with every request.
    """

    url: str
    namespace: str = "default"
    token: Callable[[], str | None] = field(default=lambda: None)
    tls: ssl.SSLContext | bool | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


def find_access(kubeconfig: Path | None = None, context: str | None = None) -> Access:
    """The given kubeconfig, else the pod's own account, else `~/.kube/config`. Raises ConfigurationError."""
    if kubeconfig is not None:
        return from_kubeconfig(kubeconfig, context)
    if "KUBERNETES_SERVICE_HOST" in os.environ and (SERVICE_ACCOUNT / "token").exists():
        return in_cluster(os.environ, SERVICE_ACCOUNT)
    home = Path.home() / ".kube" / "config"
    if home.exists():
        return from_kubeconfig(home, context)
    raise ConfigurationError(
        "there is no way to a Kubernetes API: this is no pod, and there is no ~/.kube/config",
        hint="set KUBECONFIG to the path of a kubeconfig file",
    )


def in_cluster(environment: Mapping[str, str], folder: Path) -> Access:
    """The account of the pod we run in."""
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    namespace = folder / "namespace"
    return Access(
        url=f"https://{host}:{port}",
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        token=file_token(folder / "token"),
        tls=_trust(folder / "ca.crt"),
        source="the pod's service account",
    )


def from_kubeconfig(path: Path, context: str | None = None) -> Access:
    """One context (by default the current one) of a kubeconfig file. Raises ConfigurationError naming the place."""
    document = _read(path)
    name = context or document.get("current-context")
    if not name:
        raise ConfigurationError(f"{path} has no current-context", hint="name one with KUBE_CONTEXT")
    chosen = _named(document, "contexts", "context", str(name), path)
    cluster = _named(document, "clusters", "cluster", str(chosen.get("cluster")), path)
    user = _named(document, "users", "user", str(chosen["user"]), path) if chosen.get("user") else {}
    server = cluster.get("server")
    if not isinstance(server, str) or not server.startswith(("http://", "https://")):
        raise ConfigurationError(f"{path}: cluster {chosen.get('cluster')!r} has no usable server address: {server!r}")
    return Access(
        url=server.rstrip("/"),
        namespace=chosen.get("namespace") or "default",
        token=_token_of(user, path),
        tls=_tls_of(cluster, user, path) if server.startswith("https://") else None,
        headers=_basic(user),
        source=f"context {name!r} of {path}",
    )


def file_token(path: Path) -> Callable[[], str | None]:
    """A token that is read from its file for every request: projected tokens change within the hour."""

    def read() -> str | None:
        try:
            return path.read_text().strip() or None
        except OSError:
            return None

    return read


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"the kubeconfig {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the kubeconfig {path} is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"the kubeconfig {path} holds no settings")
    return document


def _named(document: Mapping[str, Any], table: str, key: str, name: str, path: Path) -> dict[str, Any]:
    entries = [entry for entry in document.get(table) or [] if isinstance(entry, dict)]
    for entry in entries:
        if entry.get("name") == name:
            found = entry.get(key) or {}
            if isinstance(found, dict):
                return found
    names = ", ".join(str(entry.get("name")) for entry in entries) or "none"
    raise ConfigurationError(f"{path} has no {key} {name!r}", hint=f"it has: {names}")


def _token_of(user: Mapping[str, Any], path: Path) -> Callable[[], str | None]:
    if user.get("tokenFile"):
        return file_token(path.parent / user["tokenFile"])
    if user.get("token"):
        return lambda: str(user["token"])
    if user.get("exec"):
        return ExecToken(user["exec"])
    return lambda: None


class ExecToken:
    """A token made by a credential program (cloud kubeconfigs), asked again when the API refuses the last one.

    `last`: what it gave last; while there is none, calling takes as long as the program does.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self.last: str | None = None

    def __call__(self) -> str | None:
        if self.last is None:
            self.last = self._ask()
        return self.last

    def forget(self, refused: str) -> None:
        """This one was refused; another that came since then is kept."""
        if self.last == refused:
            self.last = None

    def _ask(self) -> str:
        command = [str(self._settings["command"]), *map(str, self._settings.get("args") or [])]
        version = self._settings.get("apiVersion", "client.authentication.k8s.io/v1")
        info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
        more = {str(one["name"]): str(one["value"]) for one in self._settings.get("env") or []}
        environment = {**os.environ, **more, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        try:
            answer = subprocess.run(
                command, env=environment, capture_output=True, timeout=EXEC_SECONDS, check=True, text=True
            )
            return str(json.loads(answer.stdout)["status"]["token"])
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"the credential program {command[0]} gave no token: {error}") from error


def _basic(user: Mapping[str, Any]) -> dict[str, str]:
    if not user.get("username"):
        return {}
    pair = f"{user['username']}:{user.get('password', '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _trust(ca: Path | None, data: str | None = None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca) if ca else None, cadata=data)


def _tls_of(cluster: Mapping[str, Any], user: Mapping[str, Any], path: Path) -> ssl.SSLContext | bool:
    data, file = cluster.get("certificate-authority-data"), cluster.get("certificate-authority")
    try:
        context = _trust(path.parent / file if file and not data else None, _decoded(data) if data else None)
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _show_certificate(context, user, path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the certificates named in {path} cannot be used: {error}") from error
    return context


def _show_certificate(context: ssl.SSLContext, user: Mapping[str, Any], path: Path) -> None:
    """Load the client's certificate; given inline it passes through a private folder, since ssl reads files only."""
    if user.get("client-certificate-data"):
        with tempfile.TemporaryDirectory(prefix="mlopx-") as folder:
            certificate, key = Path(folder, "cert"), Path(folder, "key")
            certificate.write_text(_decoded(user["client-certificate-data"]))
            key.touch(0o600)
            key.write_text(_decoded(user["client-key-data"]))
            context.load_cert_chain(certificate, key)
    elif user.get("client-certificate"):
        context.load_cert_chain(path.parent / user["client-certificate"], path.parent / user["client-key"])


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode("ascii")


__all__ = ["Access", "ExecToken", "file_token", "find_access", "from_kubeconfig", "in_cluster"]

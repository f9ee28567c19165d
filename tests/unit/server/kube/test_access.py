"""Who we are towards a Kubernetes API: kubeconfig files, the pod's own account, tokens that change."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from server.domain.errors import ConfigurationError
from server.kube.access import ExecToken, from_kubeconfig, in_cluster


def a_file(folder: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None) -> Path:
    path = folder / "config"
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(document))
    return path


def test_a_context_gives_address_namespace_and_token(tmp_path: Path) -> None:
    access = from_kubeconfig(a_file(tmp_path, {"token": "secret"}))
    assert (access.url, access.namespace, access.token()) == ("http://127.0.0.1:1", "team", "secret")


def test_a_token_file_is_read_for_every_request(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    access = from_kubeconfig(a_file(tmp_path, {"tokenFile": "token"}))
    assert access.token() == "one"
    token.write_text("two\n")
    assert access.token() == "two"


def test_a_credential_program_is_asked_once_until_its_token_is_refused(tmp_path: Path) -> None:
    count = tmp_path / "count"
    program = (
        f"import json,pathlib; p=pathlib.Path({str(count)!r}); n=int(p.read_text()) if p.exists() else 0; "
        "p.write_text(str(n+1)); print(json.dumps({'status': {'token': f't{n}'}}))"
    )
    access = from_kubeconfig(a_file(tmp_path, {"exec": {"command": sys.executable, "args": ["-c", program]}}))
    assert [access.token(), access.token()] == ["t0", "t0"]
    assert isinstance(access.token, ExecToken)
    access.token.forget("t0")
    assert access.token() == "t1"
    access.token.forget("t0")
    assert access.token() == "t1"


def test_a_pod_uses_its_own_account(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        in_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not YAML"),
        ("[]", "holds no settings"),
        ("{}", "has no current-context"),
        ("current-context: x", "has no context 'x'"),
    ],
)
def test_an_unusable_file_is_refused_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said) as caught:
        from_kubeconfig(path)
    assert str(path) in caught.value.message


def test_an_unusable_certificate_is_refused(tmp_path: Path) -> None:
    path = a_file(tmp_path, {}, {"server": "https://127.0.0.1:1", "certificate-authority": "none.crt"})
    with pytest.raises(ConfigurationError, match="certificates"):
        from_kubeconfig(path)

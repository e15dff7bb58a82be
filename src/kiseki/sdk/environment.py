"""What only the training process knows of how it was started: command line, Python, user, launcher, notebook.

Git, packages and hardware are the sidecar's to find out (`kiseki.sidecar.provenance`), so that `init` waits
for none of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from kiseki import __version__
from kiseki.sdk.directory import working_folder
from kiseki.sdk.notebook import notebook_name
from kiseki.sdk.project import user_name
from kiseki.system.process import hostname
from kiseki.system.secrets import mask_command, mask_variables

_MAX_VALUE = 1000
_TORCHRUN = (
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_RANK",
    "ROLE_NAME", "ROLE_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID",
    "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS",
)  # fmt: skip
_MPI = (
    "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE", "OMPI_COMM_WORLD_NODE_RANK", "PMI_RANK", "PMI_SIZE", "PMI_LOCAL_RANK",
    "PMIX_RANK", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK",
)  # fmt: skip
_KUBERNETES = {
    "HOSTNAME": "pod",
    "POD_NAME": "pod",
    "POD_NAMESPACE": "namespace",
    "NODE_NAME": "node",
    "JOB_NAME": "job",
    "JOB_COMPLETION_INDEX": "job_completion_index",
}
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


def describe_environment(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The environment record of this process: JSON-like values only; `environ` instead of its variables."""
    environ = os.environ if environ is None else environ
    system = os.uname() if hasattr(os, "uname") else None
    info: dict[str, Any] = {
        "host": hostname(),
        "user": user_name(),
        "os": f"{system.sysname} {system.release} {system.machine}" if system else sys.platform,
        "python": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "executable": sys.executable or "",
        "command": mask_command(sys.orig_argv),
        "program": _program(),
        "cwd": working_folder(),
        "cpu_count": os.cpu_count(),
        "pid": os.getpid(),
        "sdk": __version__,
    }
    more: dict[str, Callable[[Mapping[str, str]], Any]] = {
        "notebook": notebook_name,
        "pythonpath": _python_path,
        "slurm": _slurm,
        "kubernetes": _kubernetes,
        "torchrun": _torchrun,
        "mpi": _mpi,
    }
    for name, find in more.items():
        found = find(environ)
        if found:
            info[name] = found
    return info


def _program() -> str:
    """The entry script, absolute where it is a file; as it was given (`-c`, a module) where it is none."""
    script = sys.argv[0] if sys.argv else ""
    return os.path.abspath(script) if script and os.path.isfile(script) else script


def _python_path(environ: Mapping[str, str]) -> str:
    """`PYTHONPATH`, without which many a script does not find its own modules."""
    return environ.get("PYTHONPATH", "")[: 10 * _MAX_VALUE]


def _slurm(environ: Mapping[str, str]) -> dict[str, str]:
    """Every `SLURM_…` variable, under its name in small letters without that beginning, as wandb has them."""
    if "SLURM_JOB_ID" not in environ:
        return {}
    found = {name: value for name, value in environ.items() if name.startswith("SLURM_")}
    return {name[len("SLURM_") :].lower(): value for name, value in _shown(found).items()}


def _kubernetes(environ: Mapping[str, str]) -> dict[str, str]:
    """Pod, namespace, node and job, as far as the pod's variables and its service account tell them."""
    if "KUBERNETES_SERVICE_HOST" not in environ:
        return {}
    found = {name: environ[variable] for variable, name in _KUBERNETES.items() if environ.get(variable)}
    if "namespace" not in found:
        try:
            with open(_SERVICE_ACCOUNT) as file:
                found["namespace"] = file.read(_MAX_VALUE).strip()
        except (OSError, UnicodeDecodeError):
            pass
    return _shown(found)


def _torchrun(environ: Mapping[str, str]) -> dict[str, str]:
    """The rank and its neighbours under torchrun, or whatever sets the same variables (accelerate, …)."""
    return _named(environ, _TORCHRUN) if "RANK" in environ and "WORLD_SIZE" in environ else {}


def _mpi(environ: Mapping[str, str]) -> dict[str, str]:
    return _named(environ, _MPI)


def _named(environ: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return _shown({name.lower(): environ[name] for name in names if name in environ})


def _shown(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value[:_MAX_VALUE] for name, value in mask_variables(variables).items()}

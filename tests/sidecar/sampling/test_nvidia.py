"""NVIDIA's GPUs through a library of ours in NVML's place, that also hangs, fails and loses a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Wait = Callable[..., Any]
_OFTEN = {"system_interval": [0.6, "init"]}
_HASTY = "import kiseki.sidecar.sampling.guard as guard; guard.HANG_S = 1.0"


def _last(samples: Any, trainer: Any) -> dict[str, Any]:
    rows = samples(trainer.run_dir)
    return rows[-1] if rows else {}


def test_every_metric_of_every_gpu_and_what_fails_in_the_middle_is_missing(
    world: Any, nvml: Any, samples: Any, facts: Any, wait_until: Wait
) -> None:
    trainer = world.trainer(recording=_OFTEN)
    nvml.let_hold_memory(trainer.process.pid)
    world.sidecar(env=nvml.env)
    wait_until(lambda: len(samples(trainer.run_dir)) >= 2)
    row = samples(trainer.run_dir)[-1]
    found = {key.removeprefix("system."): row[key] for key in row if ".gpu." in key}
    energy = found.pop("gpu.0.energyJoules"), found.pop("gpu.1.energyJoules")
    assert all(0 < joules < 100 for joules in energy)  # Since the run's first sample, not the driver's start.
    link = [found.pop(f"gpu.{number}.nvlink{way}Bytes") for number in (0, 1) for way in ("Tx", "Rx")]
    assert all(0 < rate < 100 * 2**20 for rate in link)
    both = {
        "memoryAllocated": 25.0,
        "memoryAllocatedBytes": 20.0 * 2**30,
        "temp": 61.0,
        "powerWatts": 350.0,
        "enforcedPowerLimitWatts": 700.0,
        "powerPercent": 50.0,
    }
    rest = {
        "smClock": 1001.0,
        "memoryClock": 1002.0,
        "graphicsClock": 1000.0,
        "encoderUtilization": 5.0,
        "correctedMemoryErrors": 7.0,
        "uncorrectedMemoryErrors": 1.0,
        "throttleReasons": 36.0,
        "pcieTxBytes": 102400.0,
        "pcieRxBytes": 204800.0,
    }
    first, second = {"gpu": 90.0, "memory": 40.0}, {"gpu": 91.0, "memory": 41.0}
    assert found == {
        **{f"gpu.0.{name}": value for name, value in {**first, **both, **rest}.items()},
        **{f"gpu.1.{name}": value for name, value in {**second, **both, **rest}.items()},
        **{f"gpu.process.0.{name}": value for name, value in {**first, **both}.items()},
        "gpu.process.0.memoryUsedBytes": 3.0 * 2**30,
    }
    machine = facts(trainer.run_dir)
    assert machine["gpus"][1] == {
        "name": "Fake H200",
        "memory_bytes": 80 * 2**30,
        "uuid": "GPU-1",
        "vendor": "nvidia",
    }
    assert machine["cuda"] == {"version": "12.8", "driver": "570.86.10"}
    nvml.behave("lost")
    wait_until(lambda: "system.gpu.1.gpu" not in _last(samples, trainer))
    assert _last(samples, trainer)["system.gpu.0.gpu"] == 90.0
    nvml.behave("broken")
    wait_until(lambda: "system.gpu.0.gpu" not in _last(samples, trainer))
    assert "system.memory_percent" in _last(samples, trainer)
    nvml.behave("ok")
    wait_until(lambda: "system.gpu.1.gpu" in _last(samples, trainer))


def test_a_library_that_hangs_costs_its_metrics_only_until_it_answers_again(
    world: Any, nvml: Any, samples: Any, wait_until: Wait
) -> None:
    trainer = world.trainer(recording=_OFTEN)
    world.sidecar(env=nvml.env, setup=_HASTY)
    wait_until(lambda: "system.gpu.0.gpu" in _last(samples, trainer))
    nvml.behave("hang")
    wait_until(lambda: "nvidia metrics: no answer for 1 s" in world.log())
    before = len(samples(trainer.run_dir))
    trainer.do("log 3")
    wait_until(lambda: len(samples(trainer.run_dir)) >= before + 2)
    row = _last(samples, trainer)
    assert not any("gpu" in key for key in row)
    assert "system.cpu.cpu_percent" in row and "system.disk./.usageGB" in row
    assert world.log().count("no answer") == 1
    nvml.behave("ok")
    wait_until(lambda: "system.gpu.0.gpu" in _last(samples, trainer))
    assert "nvidia metrics: they answer again" in world.log()


def test_one_that_hangs_for_ever_does_not_keep_the_run_or_the_sidecar(
    world: Any, nvml: Any, samples: Any, wait_until: Wait
) -> None:
    nvml.behave("hang")
    trainer = world.trainer(recording=_OFTEN)
    sidecar = world.sidecar(env=nvml.env, linger=0.1)
    trainer.do("log 5")
    wait_until(lambda: samples(trainer.run_dir))
    trainer.do("finish")
    assert sidecar.wait(20) == 0
    assert not world.pointers()
    assert "system.memory_percent" in _last(samples, trainer)


def test_a_driver_that_does_not_work_is_said_once_and_one_that_is_not_there_is_not(
    world: Any, nvml: Any, samples: Any, wait_until: Wait
) -> None:
    trainer = world.trainer(recording=_OFTEN)
    nvml.behave("none")
    sidecar = world.sidecar(env=nvml.env)
    wait_until(lambda: len(samples(trainer.run_dir)) >= 1)
    assert "nvidia" not in world.log()
    sidecar.kill()
    sidecar.wait()
    nvml.behave("broken")
    world.sidecar(env=nvml.env)
    wait_until(lambda: len(samples(trainer.run_dir)) >= 2)
    assert world.log().count("nvidia metrics: NVMLError_Unknown: Unknown Error") == 1
    assert not any("gpu" in key for row in samples(trainer.run_dir) for key in row)

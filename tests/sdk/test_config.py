import argparse
import copy
import dataclasses
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kiseki
from kiseki.records import read_run
from kiseki.sdk.config import Config


@dataclasses.dataclass
class Optimizer:
    lr: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)


@dataclasses.dataclass
class Hyper:
    optimizer: Optimizer
    depth: int = 3


def recording() -> tuple[Config, list[dict[str, Any]]]:
    written: list[dict[str, Any]] = []
    return Config(written.append), written


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"lr": 0.1, "n": {"a": [1, (2, 3)]}, 4: None}, {"lr": 0.1, "n": {"a": [1, [2, 3]]}, "4": None}),
        (argparse.Namespace(lr=0.1, deep=True), {"lr": 0.1, "deep": True}),
        (Hyper(Optimizer()), {"optimizer": {"lr": 0.1, "betas": [0.9, 0.99]}, "depth": 3}),
        ({"lr": np.float32(0.5), "n": np.int64(3), "big": 2**80}, {"lr": 0.5, "n": 3, "big": 2**80}),
        (None, {}),
    ],
)
def test_config_comes_from_what_scripts_have(source: Any, expected: dict[str, Any]) -> None:
    config, written = recording()
    config.update(source)
    assert dict(config) == expected
    assert config.as_dict() == expected
    assert (written[0] if written else {}).keys() == expected.keys()


def test_items_attributes_and_defaults() -> None:
    config, written = recording()
    config["lr"] = 0.1
    config.depth = 3
    config.setdefaults({"lr": 9, "width": 8})
    assert (config.lr, config["depth"], config.get("width"), config.get("none", 5)) == (0.1, 3, 8, 5)
    assert "lr" in config and "x" not in config
    assert list(config) == list(config.keys()) == ["lr", "depth", "width"]
    assert dict(config.items()) == {"lr": 0.1, "depth": 3, "width": 8}
    assert len(config) == 3
    assert written == [{"lr": 0.1}, {"depth": 3}, {"width": 8}]
    with pytest.raises(AttributeError, match="nothing"):
        _ = config.nothing
    with pytest.raises(KeyError, match="nothing"):
        _ = config["nothing"]


def test_changing_a_set_key_is_refused_whole_unless_allowed() -> None:
    config, written = recording()
    config.update({"lr": 0.1, "nan": float("nan")})
    config.update({"lr": 0.1, "nan": float("nan")})
    assert len(written) == 1
    with pytest.raises(kiseki.ConfigError, match=r'config\["lr"\].*allow_val_change=True'):
        config.update({"new": 1, "lr": 0.2})
    with pytest.raises(kiseki.ConfigError):
        config.lr = 0.2
    assert "new" not in config
    config.update({"lr": 0.2}, allow_val_change=True)
    assert config.lr == 0.2
    config.update({"epochs": 3, "amp": 1})
    config.update({"epochs": 3.0, "amp": True})  # equal, so no change, as in wandb
    assert type(config.epochs) is float and config.amp is True and written[-1] == {"epochs": 3.0, "amp": True}
    free = Config(written.append, may_change=True)
    free.x = 1
    free.x = 2
    assert free.x == 2


def test_foreign_objects_stay_themselves_for_the_script_and_are_named_in_the_record() -> None:
    config, written = recording()
    config.loss = abs
    config.update({"nested": {"loss": abs}})
    assert config.loss is abs
    assert written[0]["loss"] == str(abs)
    assert config["nested"] == {"loss": str(abs)}


def test_config_of_a_run_is_in_its_file(train: Callable[..., Any]) -> None:
    done = train("""
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        run = kiseki.init(config=parser.parse_args(), config_exclude_keys=["x"], allow_val_change=True)
        kiseki.config.update({"model": {"depth": 3}})
        kiseki.config.model = {"depth": 4}
        run.config["名前"] = "é"
    """)
    assert done.status == 0
    assert json.loads(json.dumps(done.run.fold.config)) == {"lr": 0.1, "model": {"depth": 4}, "名前": "é"}


def test_keys_are_chosen_by_include_or_exclude(workdir: Path) -> None:
    config = {"a": 1, "b": 2}
    with kiseki.init(mode="disabled", config=config, config_include_keys=["a"]) as run:
        assert dict(run.config) == {"a": 1}
    with kiseki.init(mode="disabled", config=config, config_exclude_keys=["a"]) as run:
        assert dict(run.config) == {"b": 2}
    with pytest.raises(kiseki.UsageError, match="not both"):
        kiseki.init(config=config, config_include_keys=["a"], config_exclude_keys=["b"])


def test_integers_of_any_size_reach_the_file(tmp_path: Path) -> None:
    with kiseki.init(
        project="sizes", mode="offline", dir=str(tmp_path), config={"big": 10**30, "n": 1}
    ) as run:
        run.config["later"] = {"deep": [-(10**40)]}
        run.summary["count"] = 10**25
    local = read_run(next((tmp_path / "kiseki").glob("run-*")))
    assert local.fold.config == {"big": 10**30, "n": 1, "later": {"deep": [-(10**40)]}}
    assert local.fold.summary["count"] == 10**25


def test_copies_keep_the_values_and_record_nothing() -> None:
    config, written = recording()
    config.update({"lr": 0.1, "net": {"depth": 3}})
    for copied in (pickle.loads(pickle.dumps(config)), copy.deepcopy(config), copy.copy(config)):
        assert copied.lr == 0.1 and copied.as_dict() == config.as_dict()
        copied.lr = 0.2
    assert config.lr == 0.1 and len(written) == 1

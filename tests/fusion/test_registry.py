"""Methods by name."""

from __future__ import annotations

import numpy as np
import pytest

from ivfuse.errors import UnknownNameError, UsageError
from ivfuse.fusion.registry import create_method, default_method, list_methods, method_info

CLASSICAL = {"average", "maximum", "laplacian", "wavelet", "guided-filter"}


def test_the_classical_methods_are_listed_and_no_name_twice() -> None:
    names = list_methods()
    assert set(names) >= CLASSICAL
    assert len(names) == len(set(names))


def test_no_name_gives_the_default_method() -> None:
    assert create_method().info.name == default_method()


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown method 'guided-filtr'; did you mean guided-filter"):
        create_method("guided-filtr")
    with pytest.raises(UnknownNameError, match=r"known: .*average"):
        method_info("zzz")


def test_an_unknown_option_names_the_accepted_ones() -> None:
    with pytest.raises(UsageError, match=r"'laplacian' has no option 'lvels'; accepted: .*levels"):
        create_method("laplacian", method_options={"lvels": 2})
    with pytest.raises(UsageError, match="it has no options"):
        create_method("average", method_options={"levels": 2})


def test_an_option_reaches_the_method() -> None:
    ir, vi = np.random.default_rng(0).random((2, 64, 64), dtype=np.float32)
    assert not np.array_equal(
        create_method("laplacian", method_options={"levels": 1}).fuse(ir, vi),
        create_method("laplacian", method_options={"levels": 4}).fuse(ir, vi),
    )


@pytest.mark.parametrize("choice", [{"runtime": "openvino"}, {"precision": "fp32"}])
def test_a_runtime_has_no_meaning_for_a_classical_method(choice: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="classical and does not support runtime"):
        create_method("average", **choice)


@pytest.mark.parametrize("name", list_methods())
def test_every_method_states_its_facts(name: str) -> None:
    info = method_info(name)
    assert info.name == name
    assert name == name.lower()
    assert info.summary
    assert "\n" not in info.summary
    assert info.paper
    assert info.align >= 1
    assert info.reach is None or info.reach >= 0
    assert info.tile >= info.align
    assert info.parameters > 0 or info.kind == "classical"

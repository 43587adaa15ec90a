"""The methods of a search share its candidates, and go on without the gradient if there is none."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from defuse_engine.configs import AuditConfig
from defuse_engine.search.open_search import shares

NUMBERS = {"paper": 1, "neighbourhood": 2, "gradient": 3}
ONE_SHARD = {"shard_seeds": 3000}


@pytest.mark.parametrize(
    "methods", [("neighbourhood",), ("gradient",), ("neighbourhood", "gradient")], ids="+".join
)
def test_each_method_finds_the_bug_alone_and_they_share_the_work(open_search, methods):
    search, seeds = open_search(AuditConfig(methods=methods, **ONE_SHARD))
    chunk = search.try_shard(seeds, 0).chunk()
    found = chunk.misclassifications
    assert set(found.method) == {NUMBERS[name] for name in methods}
    assert (found.codes[:, 0] > 0.0).all()
    assert (found.codes[:, 0] < 0.5 + 1e-4).all()
    assert chunk.candidates <= 12 * chunk.seeds
    for name in methods:
        # Two of a seed's twelve candidates are few.
        least = 200 if name == "gradient" or len(methods) == 1 else 50
        assert (found.method == NUMBERS[name]).sum() > least


def test_ascents_get_eleven_of_twelve_candidates():
    assert shares(12, ["neighbourhood", "gradient"]) == {"neighbourhood": 1, "gradient": 11}
    assert shares(25, ["gradient", "neighbourhood"]) == {"neighbourhood": 2, "gradient": 23}
    assert shares(1, ["neighbourhood", "gradient"]) == {"neighbourhood": 0, "gradient": 1}
    assert shares(7, ["neighbourhood"]) == {"neighbourhood": 7}


def test_one_candidate_a_seed_is_one_candidate_a_seed(open_search):
    search, seeds = open_search(AuditConfig(candidates_per_seed=1, **ONE_SHARD))
    chunk = search.try_shard(seeds, 0).chunk()
    assert chunk.candidates == chunk.seeds


def without_gradient(classifier: bytes, operation: str) -> bytes:
    """The classifier with its logits rounded, or turned into votes for the largest of them."""
    model = onnx.load_from_string(classifier)
    model.graph.node[-1].output[0] = "inner"
    if operation == "Round":
        model.graph.node.append(helper.make_node("Round", ["inner"], ["logits"]))
    else:
        model.graph.initializer.append(numpy_helper.from_array(np.array([0, 1], np.int64), "classes"))
        model.graph.node.extend(
            [
                helper.make_node("ArgMax", ["inner"], ["label"], axis=1),
                helper.make_node("Equal", ["label", "classes"], ["hit"]),
                helper.make_node("Cast", ["hit"], ["logits"], to=TensorProto.FLOAT),
            ]
        )
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.mark.parametrize("operation", ["Round", "ArgMax"])
@pytest.mark.parametrize("methods", [("gradient",), ("neighbourhood", "gradient")], ids="+".join)
def test_without_a_gradient_the_search_says_so_and_goes_on(open_search, graphs, reporter, operation, methods):
    files = {"classifier.onnx": without_gradient(graphs.classifier(), operation)}
    search, seeds = open_search(AuditConfig(methods=methods, **ONE_SHARD), files=files)
    (warning,) = reporter.warnings
    assert warning["reason"] == "GRADIENT_UNAVAILABLE"
    assert operation in warning["message"]
    chunk = search.try_shard(seeds, 0).chunk()
    # The gradient's candidates went to the other method.
    assert chunk.candidates == 12 * chunk.seeds
    assert len(chunk.misclassifications) > 200
    assert set(chunk.misclassifications.method) == {NUMBERS["neighbourhood"]}


def test_an_audit_without_a_gradient_carries_the_warning(make_job, do_job, graphs):
    files = {"classifier.onnx": without_gradient(graphs.classifier(), "Round")}
    result = do_job(make_job(files=files, config={"max_seeds": 500}))
    assert "GRADIENT_UNAVAILABLE" in [warning["reason"] for warning in result["warnings"]]
    assert result["regions"]

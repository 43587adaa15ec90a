"""Logs ONNX files to the MLflow at URI, in MLflow's own environment, until its input ends.

A line of standard input is {"model": NAME, "kind": "onnx" | "external" | "python", "files": [...]}. The
answer on standard output is the JSON list of the versions' numbers. MLflow takes seconds to import, so one
process logs all models.
"""

import json
import sys

import mlflow
import mlflow.onnx
import mlflow.pyfunc
import onnx


class Constant(mlflow.pyfunc.PythonModel):
    """A model that is no ONNX."""

    def predict(self, context, model_input, params=None):
        return 0


def log(model: str, kind: str, file: str) -> str:
    """Log one model as users do; return its version."""
    common = {"name": "model", "registered_model_name": model, "pip_requirements": []}
    if kind == "python":
        logged = mlflow.pyfunc.log_model(python_model=Constant(), **common)
    else:
        external = {"save_as_external_data": True, "size_threshold": 0} if kind == "external" else {}
        options = {"save_as_external_data": False} | external
        logged = mlflow.onnx.log_model(onnx.load(file), **options, **common)
    return str(logged.registered_model_version)


def main(uri: str) -> None:
    mlflow.set_tracking_uri(uri)
    answers, sys.stdout = sys.stdout, sys.stderr  # MLflow prints, too
    for line in sys.stdin:
        asked = json.loads(line)
        versions = [log(asked["model"], asked["kind"], file) for file in asked["files"]]
        answers.write(json.dumps(versions) + "\n")
        answers.flush()


main(*sys.argv[1:])

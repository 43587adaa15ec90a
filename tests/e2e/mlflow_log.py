"""Logs ONNX files to MLflow, in MLflow's own environment: URI MODEL onnx|external|python FILE...

The last line is the JSON list of the numbers of their versions.
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


def main(uri: str, model: str, kind: str, *files: str) -> None:
    mlflow.set_tracking_uri(uri)
    versions = []
    for file in files:
        common = {"name": "model", "registered_model_name": model, "pip_requirements": []}
        if kind == "python":
            logged = mlflow.pyfunc.log_model(python_model=Constant(), **common)
        else:
            external = {"save_as_external_data": True, "size_threshold": 0} if kind == "external" else {}
            logged = mlflow.onnx.log_model(
                onnx.load(file), **({"save_as_external_data": False} | external), **common
            )
        versions.append(logged.registered_model_version)
    sys.stdout.write(json.dumps([str(version) for version in versions]) + "\n")


main(*sys.argv[1:])

"""What an AnalysisTemplate with a job may hold: the fields of Argo Rollouts' CRD that a pipeline needs.

Of manifests/crds/analysis-template-crd.yaml and Kubernetes' batch/v1 Job; other fields are refused, so that a
misspelt one shows.
"""

from __future__ import annotations

from typing import Any


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_COUNT_OR_TEXT = {"type": ["integer", "string"]}
_NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
_METADATA = _object(
    name=_NAME,
    namespace=_NAME,
    labels={"type": "object", "additionalProperties": _TEXT},
    annotations={"type": "object", "additionalProperties": _TEXT},
)
_REFERENCE = _object(("name",), name=_NAME, optional={"type": "boolean"})
_KEY = _object(("name", "key"), name=_NAME, key=_TEXT)
_CONTAINER = _object(
    ("name", "image"),
    name=_NAME,
    image=_TEXT,
    command=_list(_TEXT),
    args=_list(_TEXT),
    env=_list(
        _object(
            ("name",),
            name=_TEXT,
            value=_TEXT,
            valueFrom=_object(secretKeyRef=_KEY, configMapKeyRef=_KEY),
        )
    ),
    envFrom=_list(_object(configMapRef=_REFERENCE, secretRef=_REFERENCE, prefix=_TEXT)),
)
_JOB = _object(
    ("template",),
    backoffLimit=_COUNT,
    activeDeadlineSeconds=_COUNT,
    ttlSecondsAfterFinished=_COUNT,
    template=_object(
        ("spec",),
        metadata=_METADATA,
        spec=_object(
            ("containers", "restartPolicy"),
            # Kubernetes takes no other for a Job.
            restartPolicy={"enum": ["Never", "OnFailure"]},
            serviceAccountName=_NAME,
            containers=_list(_CONTAINER),
        ),
    ),
)
_METRIC = _object(
    ("name", "provider"),
    name=_TEXT,
    interval=_TEXT,
    initialDelay=_TEXT,
    count=_COUNT_OR_TEXT,
    successCondition=_TEXT,
    failureCondition=_TEXT,
    failureLimit=_COUNT_OR_TEXT,
    inconclusiveLimit=_COUNT_OR_TEXT,
    consecutiveErrorLimit=_COUNT_OR_TEXT,
    provider=_object(("job",), job=_object(("spec",), metadata=_METADATA, spec=_JOB)),
)
SCHEMA = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "argoproj.io/v1alpha1"},
    kind={"enum": ["AnalysisTemplate", "ClusterAnalysisTemplate"]},
    metadata=_METADATA,
    spec=_object(
        ("metrics",),
        args=_list(
            _object(
                ("name",), name=_TEXT, value=_TEXT, valueFrom=_object(("secretKeyRef",), secretKeyRef=_KEY)
            )
        ),
        metrics=_list(_METRIC),
    ),
)

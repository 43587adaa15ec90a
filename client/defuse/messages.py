"""The messages and enums of defuse.v1 in one place, whatever file of the contract declares them."""
# What is generated is handed on as it is.
# ruff: noqa: F403
# pyright: reportWildcardImportFromLibrary=false

from defuse.v1.artifact_service_pb2 import *
from defuse.v1.audit_service_pb2 import *
from defuse.v1.correction_service_pb2 import *
from defuse.v1.error_reason_pb2 import *
from defuse.v1.label_service_pb2 import *
from defuse.v1.models_pb2 import *
from defuse.v1.promotion_service_pb2 import *
from defuse.v1.registry_service_pb2 import *

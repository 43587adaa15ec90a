"""Gates over model registries: a new version of a model is compared with the version that an alias points to.

`gate.py` is the flow, the same for every model registry. `registry.py` is the interface that each must have.
`mlflow.py` and `folder.py` are the two that come with Defuse.
"""

"""What is to be gated, and over what: from a command's options, and from the tags of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from defuse.model_registries.declaration import Declaration
from defuse.model_registries.errors import RegistryError


@dataclass(frozen=True)
class GateRequest:
    """A version that wants an alias. What is empty comes from the model's tags."""

    model: str
    version: str
    alias: str = ""
    audit: str = ""
    """`audits/ID` of the version that bears the alias; without, `dataset` and `vae` say over what; without
    those, it is what that version was audited over last."""
    dataset: str = ""
    vae: str = ""
    policy: str | None = None
    """YAML; None: the tag's, else the service's default."""
    declared: Declaration = field(default_factory=Declaration)

    def completed(self, tags: Mapping[str, str]) -> GateRequest:
        """Fill in from `defuse.alias`, `.audit`, `.dataset`, `.vae`, `.policy` and the tags of `Declaration`.

        What is named here goes before the tags, and the tag of an audit before those of a dataset and a VAE.
        Raises RegistryError where something is missing, or too much is named.
        """

        def tag(name: str) -> str:
            return tags.get(f"defuse.{name}", "")

        audit = self.audit or ("" if self.dataset or self.vae else tag("audit"))
        filled = replace(
            self,
            alias=self.alias or tag("alias"),
            audit=audit,
            dataset=self.dataset or ("" if audit else tag("dataset")),
            vae=self.vae or ("" if audit else tag("vae")),
            policy=tag("policy") if self.policy is None else self.policy,
            declared=self.declared if self.declared != Declaration() else Declaration.of_tags(tags),
        )
        filled._check()
        return filled

    def _check(self) -> None:
        if not self.alias:
            raise RegistryError(
                f"expected an alias to gate {self.model} for: --alias, or the model's tag defuse.alias"
            )
        if self.audit and (self.dataset or self.vae):
            raise RegistryError("expected --audit, or --dataset and --vae, got both: an audit has its own")
        if bool(self.dataset) != bool(self.vae):
            raise RegistryError(
                f"expected both a dataset and a VAE to judge {self.model} over, or neither, got one: "
                "--dataset and --vae, or the model's tags defuse.dataset and defuse.vae"
            )

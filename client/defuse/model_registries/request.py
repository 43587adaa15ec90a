"""What a gate compares: taken from a command's options and from the model's tags."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from defuse.model_registries.declaration import Declaration
from defuse.model_registries.errors import RegistryError


@dataclass(frozen=True)
class GateRequest:
    """A version that an alias is to point to. Empty fields are taken from the model's tags."""

    model: str
    version: str
    alias: str = ""
    audit: str = ""
    """`audits/ID` of the version in use. If it is empty, that version is audited over `dataset` and `vae`; if
    those are empty too, over the VAE and the dataset of its last audit."""
    dataset: str = ""
    vae: str = ""
    policy: str | None = None
    """YAML. None means the tag's policy, or without a tag the service's default."""
    declared: Declaration = field(default_factory=Declaration)

    def completed(self, tags: Mapping[str, str]) -> Self:
        """Fill empty fields from the tags.

        The tags are `defuse.alias`, `.audit`, `.dataset`, `.vae`, `.policy` and those of `Declaration`.
        Fields take precedence over tags, and an audit's tag over those of a dataset and a VAE. Raises
        `RegistryError` if something is missing or two fields contradict each other.
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
                f"expected an alias to gate {self.model} for, got none. Give --alias, or set the model's tag "
                "defuse.alias"
            )
        if self.audit and (self.dataset or self.vae):
            raise RegistryError(
                "expected --audit, or --dataset and --vae, got both. An audit has its own dataset and VAE: "
                "leave them out"
            )
        if bool(self.dataset) != bool(self.vae):
            raise RegistryError(
                f"expected both a dataset and a VAE to audit {self.model} over, or neither, got one of them. "
                "Give --dataset and --vae, or set the model's tags defuse.dataset and defuse.vae"
            )

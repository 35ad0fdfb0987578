"""Write the model card of a set of weights, in Markdown."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from jinja2 import Template

from emonext.checkpoint import Weights
from emonext.results import Evaluation


def model_card(
    weights: Weights,
    found: Evaluation,
    measured_on: str,
    pictures: Iterable[Path] = (),
    others: Mapping[str, Evaluation] = MappingProxyType({}),
) -> str:
    """The model card as Markdown.

    :param measured_on: description of the data of ``found``.
    :param pictures: figures in the card's folder, shown at the end.
    :param others: results on further sets, by the name of the set.
    """
    template = Path(__file__).with_name("model_card.md.j2").read_text(encoding="utf-8")
    return Template(template, autoescape=False).render(
        card=weights.card,
        sha256=weights.sha256,
        parameters=sum(parameter.numel() for parameter in weights.model.parameters()),
        training_only=sum(parameter.numel() for parameter in weights.model.attention.parameters()),
        found=found,
        measured_on=measured_on,
        pictures=list(pictures),
        others=others,
    )

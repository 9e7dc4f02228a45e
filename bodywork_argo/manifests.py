"""Documents as plain data, the order they are applied in, and their one text form.

Every string value is quoted. PyYAML writes ``1e3`` or ``685e1`` bare, since YAML 1.1 reads them
as text, but Go's reader takes them for numbers, and 0.9 % of 7-character commit hashes look so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import yaml

try:
    from yaml import CSafeDumper as _BaseDumper
except ImportError:  # pragma: no cover - PyYAML built without libyaml
    from yaml import SafeDumper as _BaseDumper  # type: ignore[assignment]

Manifest: TypeAlias = dict[str, Any]
"""One document: nested dicts, lists, strings, integers, floats, booleans."""

_APPLY_ORDER = (
    "Namespace",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "Role",
    "RoleBinding",
    "Service",
    "Deployment",
)
_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS_YAML_TAKES_FOR_VALUES = frozenset(
    {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
)
_BLOCK_TEXT = re.compile(r"[!-~][\t -~]*(\n[\t -~]*)*\n?")


def apply_order(documents: Iterable[Manifest]) -> list[Manifest]:
    """Return the documents so that what others need comes first; otherwise the order is kept."""
    rank = {kind: number for number, kind in enumerate(_APPLY_ORDER)}
    return sorted(documents, key=lambda document: rank.get(document["kind"], len(rank)))


def to_yaml(documents: Sequence[Mapping[str, Any]]) -> str:
    """Return the YAML text of the documents, the same bytes for the same input.

    Keys keep their order. Text of several lines is a literal block where every YAML reader gives
    it back unchanged, else it is double-quoted.
    """
    text: str = yaml.dump_all(
        documents,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=2**31 - 1,
        explicit_start=len(documents) > 1,
    )
    return text


class _Dumper(_BaseDumper):
    """Quotes string values; its representers are its own, whatever others register."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))


def _represent_mapping(dumper: _Dumper, mapping: dict[str, Any]) -> yaml.MappingNode:
    pairs = [(_key_node(key), dumper.represent_data(value)) for key, value in mapping.items()]
    return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=not pairs)


def _represent_tuple(dumper: _Dumper, items: tuple[Any, ...]) -> yaml.SequenceNode:
    return dumper.represent_list(items)


def _key_node(key: str) -> yaml.ScalarNode:
    plain = _PLAIN_KEY.fullmatch(key) and key.lower() not in _WORDS_YAML_TAKES_FOR_VALUES
    return yaml.ScalarNode("tag:yaml.org,2002:str", key, style=None if plain else '"')


def _style(text: str) -> str:
    readable_block = "\n" in text and _BLOCK_TEXT.fullmatch(text) and " \n" not in text
    return "|" if readable_block and not text.endswith(("\n\n", " ")) else '"'


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(dict, _represent_mapping)
_Dumper.add_representer(tuple, _represent_tuple)

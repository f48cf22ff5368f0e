"""Decides which resources a body of FHIR holds, and which of them a reference means (R4, bundle.html#references).

A reference that could mean two of them means none: which subject or specimen is meant is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.labs.fhir_issue import Issue

Resource = dict[str, Any]

ENTRIES_MAX = 2_000
"""The most entries of a bundle: as many as messages in a batch of HL7 v2."""


@dataclass(frozen=True, slots=True)
class Located:
    """A resource, its FHIRPath, the number of its entry (0 without a bundle), and what contains it, if anything."""

    resource: Resource
    path: str
    entry: int = 0
    container: Located | None = None

    @property
    def type(self) -> str:
        return str(self.resource["resourceType"])


class Contents:
    """The resources of a body, entries and contained ones, in the order of the body."""

    def __init__(self, body: Resource) -> None:
        self.body = body
        self.roots = tuple(_roots(body))
        self.all = tuple(each for root in self.roots for each in (root, *_contained(root)))
        self._by_name: dict[str, Located | None] = {}
        for root in self.roots:
            for name in _names(body, root):
                known = self._by_name.setdefault(name, root)
                if known is not root:
                    self._by_name[name] = None  # two of one name
        self._bases = {base for root in self.roots if (base := _base(body, root.entry))}

    def of_type(self, kind: str) -> list[Located]:
        return [each for each in self.all if each.type == kind]

    def resolve(self, reference: Resource | None, at: Located) -> Located | None:
        """The resource that a reference of the resource `at` means, None where it is not here or not certain."""
        name = (reference or {}).get("reference")
        if not isinstance(name, str):
            return None
        if name.startswith("#"):
            container = at.container or at
            return next((each for each in _contained(container) if each.resource.get("id") == name[1:]), None)
        name = name.partition("/_history/")[0]
        if len(self._bases) > 1 and ":" not in name and (base := _base(self.body, (at.container or at).entry)):
            name = f"{base}/{name}"  # two servers' resources: a relative reference is one of its own server
        return self._by_name.get(name)


def _roots(body: Resource) -> Iterator[Located]:
    if body["resourceType"] != "Bundle":
        yield Located(body, str(body["resourceType"]))
        return
    for number, entry in enumerate(body.get("entry", ())):
        if "resource" in entry:
            yield Located(entry["resource"], f"Bundle.entry[{number}].resource", number)


def _contained(root: Located) -> Iterator[Located]:
    for index, resource in enumerate(root.resource.get("contained", ())):
        yield Located(resource, f"{root.path}.contained[{index}]", root.entry, root)


def _base(body: Resource, entry: int) -> str:
    """The address of the server that an entry comes from; "" where its full URL is none of a server."""
    url = str(body["entry"][entry].get("fullUrl", "")) if body["resourceType"] == "Bundle" else ""
    return "/".join(url.split("/")[:-2]) if url.startswith("http") else ""


def _names(body: Resource, root: Located) -> set[str]:
    """By what a reference may name a resource: its full URL, or its type and id."""
    names = set()
    if body["resourceType"] == "Bundle" and (url := body["entry"][root.entry].get("fullUrl")):
        names.add(url)
        if not url.startswith("urn:"):
            names.add("/".join(url.split("/")[-2:]))
    if "id" in root.resource:
        names.add(f"{root.type}/{root.resource['id']}")
    return names


def check_bundle(bundle: Resource) -> list[Issue]:
    """What is wrong with a bundle beside its elements (R4, bundle.html#invariants), and what is not supported."""
    entries = bundle.get("entry", [])
    kind = bundle["type"]
    if kind not in ("transaction", "batch", "message", "collection"):
        return [Issue("not-supported", "Bundle.type", "only transaction, batch, message and collection are received")]
    if len(entries) > ENTRIES_MAX:
        return [Issue("too-long", "Bundle.entry", f"more than {ENTRIES_MAX} entries")]
    if not entries:
        return [Issue("required", "Bundle.entry", "a bundle without entries reports nothing")]
    issues = [*_repeated_urls(entries)]
    for number, entry in enumerate(entries):
        path = f"Bundle.entry[{number}]"
        if kind in ("transaction", "batch"):
            issues += _wrong_request(entry, path)
        elif "request" in entry:
            issues.append(Issue("invariant", f"{path}.request", f"no request stands in a {kind} (bdl-3)"))
        elif "resource" not in entry:
            issues.append(Issue("required", f"{path}.resource", "an entry without a resource"))
    if kind == "message" and entries[0].get("resource", {}).get("resourceType") != "MessageHeader":
        issues.append(Issue("invariant", "Bundle.entry[0].resource", "a message begins with its header (bdl-12)"))
    return issues


def _repeated_urls(entries: list[Resource]) -> Iterator[Issue]:
    seen: set[tuple[object, object]] = set()
    for number, entry in enumerate(entries):
        url, version = entry.get("fullUrl"), entry.get("resource", {}).get("meta", {}).get("versionId")
        if url is not None and (url, version) in seen:
            yield Issue("duplicate", f"Bundle.entry[{number}].fullUrl", "two entries bear the same fullUrl (bdl-7)")
        seen.add((url, version))


def _wrong_request(entry: Resource, path: str) -> Iterator[Issue]:
    request = entry.get("request")
    if request is None:
        yield Issue("required", f"{path}.request", "an entry says what is asked with its resource (bdl-3)")
    elif request.get("method") != "POST":
        yield Issue("not-supported", f"{path}.request.method", "results are only created: POST")
    elif "resource" not in entry:
        yield Issue("required", f"{path}.resource", "there is nothing to create")
    elif request.get("url", "").strip("/") != entry["resource"]["resourceType"]:
        yield Issue("invariant", f"{path}.request.url", "it is not the type of the resource that is to be created")

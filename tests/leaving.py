"""What the services call of their ports, read from their source.

A method of a port counts for a service when one of its methods reaches it: by
``self.<port>.<method>``, by an argument that is annotated with the port's type, or by
handing the port on to a function that does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.layout import ROOT

#: What of the ports stays in the process, and why; ``*``: all of it.
STAYS: Mapping[str, str] = {
    "Chance.*": "draws from this process's own generator",
    "Clock.monotonic": "reads this machine's clock",
    "Clock.now": "counts on from what a thread of its own asks the store every 30 s; "
    "a question that changes nothing",
    "Provider.build": "makes bytes, sends none",
    "Provider.profile": "is a value",
    "Ledger.accepted": "counts; a thread of its own writes it down later",
    "KeyRing.used": "notes; a thread of its own writes it down later",
    "Mint.*": "draws from the system's randomness",
    "BreakerPanel.is_shared": "says how the last answer came",
}

Function = ast.FunctionDef


@dataclass(frozen=True, kw_only=True)
class Service:
    """A dataclass of services/ with ports.

    Attributes:
        ports: Their types, by the names of the fields.
        bundled: Those of them that are fields of a value that it is given.
    """

    name: str
    ports: dict[str, str]
    bundled: frozenset[str]
    methods: dict[str, Function]


@dataclass(frozen=True, kw_only=True)
class Services:
    """All of them, and the functions that they share."""

    port_methods: dict[str, set[str]]
    classes: list[Service] = field(default_factory=list)
    functions: dict[str, Function] = field(default_factory=dict)

    def calls(self, service: Service) -> set[str]:
        """Return ``port.method`` for everything that leaves the process."""
        found: set[str] = set()
        for method in service.methods.values():
            found |= set(self._in_method(service, method))
        return {call for call in found if self._leaves(service, call)}

    def leaving(self, port_type: str) -> set[str]:
        """Return which methods of a port leave the process."""
        if f"{port_type}.*" in STAYS:
            return set()
        methods = self.port_methods[port_type]
        return {name for name in methods if f"{port_type}.{name}" not in STAYS}

    def _leaves(self, service: Service, call: str) -> bool:
        port, _, method = call.partition(".")
        return method in self.leaving(service.ports[port])

    def _in_method(self, service: Service, method: Function) -> Iterator[str]:
        names = dict(_annotated(method, self.port_methods))
        by_type = {type_name: port for port, type_name in service.ports.items()}
        own = {name: by_type[kind] for name, kind in names.items() if kind in by_type}
        own |= _taken_from_a_mapping(method, service.ports)
        for node in ast.walk(method):
            if isinstance(node, ast.Attribute):
                port = _port(node.value, service.ports, own)
                if port is None and _last_name(node.value) in service.bundled:
                    port = _last_name(node.value)
                if port is not None:
                    yield f"{port}.{node.attr}"
            elif isinstance(node, ast.Call):
                yield from self._handed_on(node, service, own)

    def _handed_on(
        self, call: ast.Call, service: Service, own: Mapping[str, str]
    ) -> Iterator[str]:
        function = self._called(call)
        if function is None:
            return
        for parameter, given in _arguments(call, function):
            port = _port(given, service.ports, own)
            if port is not None:
                for method in self._of_parameter(function, parameter):
                    yield f"{port}.{method}"

    def _of_parameter(self, function: Function, parameter: str) -> set[str]:
        """Return the methods of a parameter that a function calls, or hands on."""
        found: set[str] = set()
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and _is(node.value, parameter):
                found.add(node.attr)
            elif isinstance(node, ast.Call):
                further = self._called(node)
                if further is None or further is function:
                    continue
                for name, given in _arguments(node, further):
                    if _is(given, parameter):
                        found |= self._of_parameter(further, name)
        return found

    def _called(self, call: ast.Call) -> Function | None:
        if not isinstance(call.func, ast.Name):
            return None
        return self.functions.get(call.func.id)


def port_methods() -> dict[str, set[str]]:
    """Return the names in each Protocol of domain/."""
    return {
        node.name: {item.name for item in node.body if isinstance(item, Function)}
        for path in sorted((ROOT / "domain").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(_is(b, "Protocol") for b in node.bases)
    }


def services() -> Services:
    """Read services/."""
    found, bundles = Services(port_methods=port_methods()), _bundles()
    for path in sorted((ROOT / "services").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, Function):
                found.functions[node.name] = node
            elif isinstance(node, ast.ClassDef):
                service = _service(node, found.port_methods, bundles)
                if service.ports:
                    found.classes.append(service)
    return found


def unfitted(path: Path, names: set[str]) -> set[str]:
    """Return which of these classes a module makes without handing them to ``fit``.

    A service may be handed over as it is made, by the name that it was given, or by
    the function that returns it.
    """
    tree = ast.parse(path.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    given = [a for call in calls if _last_name(call.func) == "fit" for a in call.args]
    fitted = {id(node) for node in given}
    handed_over = {node.id for node in given if isinstance(node, ast.Name)}
    functions = {_last_name(node.func) for node in given if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _last_name(node.targets[0]) in handed_over:
            fitted.add(id(node.value))
        elif isinstance(node, Function) and node.name in functions:
            fitted |= {id(r.value) for r in ast.walk(node) if isinstance(r, ast.Return)}
    made = [call for call in calls if _last_name(call.func) in names]
    return {str(_last_name(call.func)) for call in made if id(call) not in fitted}


def used_by(path: Path, port: str, methods: set[str]) -> set[str]:
    """Return which methods a module calls of anything that is named like a port."""
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in methods
        and (_last_name(node.value) or "").lstrip("_") == port
    }


def _service(
    node: ast.ClassDef,
    known: Mapping[str, object],
    bundles: Mapping[str, Mapping[str, str]],
) -> Service:
    own = _ports(node, known)
    given = [bundles[kind] for kind in _ports(node, bundles).values()]
    bundled = {port: kind for bundle in given for port, kind in bundle.items()}
    methods = {item.name: item for item in node.body if isinstance(item, Function)}
    return Service(
        name=node.name,
        ports=own | bundled,
        bundled=frozenset(bundled),
        methods=methods,
    )


def _ports(node: ast.ClassDef, known: Iterable[str]) -> dict[str, str]:
    """Return the fields of a class that are annotated with one of these types."""
    return {
        item.target.id: kind
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        for kind in known
        if kind in _names(item.annotation)
    }


def _bundles() -> dict[str, dict[str, str]]:
    """Return the values of domain/ that hold ports, with their fields."""
    known = port_methods()
    return {
        node.name: ports
        for path in sorted((ROOT / "domain").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and (ports := _ports(node, known))
    }


def _annotated(
    function: Function, known: Mapping[str, object]
) -> Iterator[tuple[str, str]]:
    for argument in (*function.args.args, *function.args.kwonlyargs):
        if argument.annotation is not None:
            for kind in known:
                if _is(argument.annotation, kind):
                    yield argument.arg, kind


def _taken_from_a_mapping(
    function: Function, ports: Mapping[str, str]
) -> dict[str, str]:
    """Return local names like ``provider = self.providers[name]``."""
    found: dict[str, str] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
            port = _port(node.value.value, ports, {})
            if port is not None and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = port
    return found


def _port(
    node: ast.expr, ports: Mapping[str, str], own: Mapping[str, str]
) -> str | None:
    """Return which port an expression is, if it is one."""
    if isinstance(node, ast.Name):
        return own.get(node.id)
    if isinstance(node, ast.Attribute) and _is(node.value, "self"):
        return node.attr if node.attr in ports else None
    return None


def _arguments(call: ast.Call, function: Function) -> Iterator[tuple[str, ast.expr]]:
    positional = [argument.arg for argument in function.args.args]
    yield from zip(positional, call.args, strict=False)
    yield from ((k.arg, k.value) for k in call.keywords if k.arg is not None)


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _last_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _names(node: ast.expr) -> set[str]:
    return {found.id for found in ast.walk(node) if isinstance(found, ast.Name)}

"""Holds docs/openapi.yaml against the route table: the same paths and methods, every reference leads
somewhere, every operation says what it answers.

usage: check_openapi.py PRINT_ROUTES OPENAPI
"""
import re
import subprocess
import sys

import yaml

METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}


def table_routes(program):
    text = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return {tuple(line.split(" ", 1)) for line in text.splitlines()}


def described_routes(document):
    return {(method.upper(), re.sub(r"\{(\w+)\}", r":\1", path))
            for path, item in document["paths"].items() for method in item if method in METHODS}


def walk(value):
    yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from walk(child)


def follow(document, reference):
    target = document
    for part in reference.removeprefix("#/").split("/"):
        target = target.get(part) if isinstance(target, dict) else None
    return target


def reference_problems(document):
    for value in walk(document):
        if isinstance(value, dict) and "$ref" in value and not follow(document, value["$ref"]):
            yield f"{value['$ref']} leads nowhere"


def parameter_names(document, item):
    for parameter in item.get("parameters", []):
        target = follow(document, parameter["$ref"]) if "$ref" in parameter else parameter
        yield (target or {}).get("name")


def operation_problems(document):
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            operation = item[method]
            if not operation.get("summary") or not operation.get("responses"):
                yield f"{method} {path} lacks a summary or its responses"
            names = set(re.findall(r"\{(\w+)\}", path))
            missing = names - set(parameter_names(document, item))
            if missing:
                yield f"{path} does not describe {missing}"


def problems(program, document):
    table, described = table_routes(program), described_routes(document)
    yield from (f"{m} {p} is served but not described" for m, p in sorted(table - described))
    yield from (f"{m} {p} is described but not served" for m, p in sorted(described - table))
    yield from reference_problems(document)
    yield from operation_problems(document)


def main():
    program, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    found = list(problems(program, document))
    print("\n".join(found) or "the route table and the OpenAPI file agree")
    return 1 if found else 0


sys.exit(main())

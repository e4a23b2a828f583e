#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""schema.py SCHEMA FILE: is each line of FILE valid by the JSON Schema?

As much of draft 2020-12 as our schemas use, from the standard library alone; a
keyword that is not known here is an error, so that none is passed over.
"""

import json
import re
import sys

IGNORED = {"$schema", "$id", "$defs", "title", "description"}
TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}


def no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    if len(keys) != len(set(keys)):
        raise ValueError(f"duplicate key in {keys}")
    return dict(pairs)


class Schema:
    def __init__(self, root):
        self.root = root
        self.problems = []

    def resolve(self, ref):
        node = self.root
        for part in ref.removeprefix("#/").split("/"):
            node = node[part]
        return node

    def valid(self, value, schema):
        probe = Schema(self.root)
        probe.check(value, schema, "")
        return not probe.problems

    def check(self, value, schema, where):
        """Reports problems; returns the keys that the schema spoke of."""
        seen = set()
        for keyword, rule in schema.items():
            if keyword in IGNORED or keyword in ("then", "unevaluatedProperties"):
                continue
            method = getattr(self, "do_" + keyword.strip("$"), None)
            if method is None:
                sys.exit(f"schema.py: unknown keyword {keyword}")
            seen |= method(value, rule, schema, where) or set()
        if schema.get("unevaluatedProperties") is False:
            self.only(value, seen, where)
        return seen

    def fail(self, where, text):
        self.problems.append(f"${where}: {text}")

    def only(self, value, keys, where):
        for key in set(value) - keys:
            self.fail(where, f"unknown key {key}")

    def do_ref(self, value, ref, _, where):
        return self.check(value, self.resolve(ref), where)

    def do_type(self, value, types, _, where):
        types = [types] if isinstance(types, str) else types
        if not any(TYPES[name](value) for name in types):
            self.fail(where, f"{value!r} is not {types}")

    def do_enum(self, value, values, _, where):
        if value not in values:
            self.fail(where, f"{value!r} is not one of {values}")

    def do_const(self, value, wanted, _, where):
        if value != wanted or type(value) is not type(wanted):
            self.fail(where, f"{value!r} is not {wanted!r}")

    def do_pattern(self, value, pattern, _, where):
        if isinstance(value, str) and not re.search(pattern, value):
            self.fail(where, f"{value!r} does not match {pattern}")

    def do_minLength(self, value, least, _, where):
        if isinstance(value, str) and len(value) < least:
            self.fail(where, "is too short")

    def do_minimum(self, value, least, _, where):
        if isinstance(value, int) and value < least:
            self.fail(where, f"{value} is below {least}")

    def do_maximum(self, value, most, _, where):
        if isinstance(value, int) and value > most:
            self.fail(where, f"{value} is above {most}")

    def do_maxItems(self, value, most, _, where):
        if isinstance(value, list) and len(value) > most:
            self.fail(where, f"has {len(value)} items")

    def do_items(self, value, schema, _, where):
        if isinstance(value, list):
            for index, item in enumerate(value):
                self.check(item, schema, f"{where}[{index}]")

    def do_required(self, value, keys, _, where):
        for key in keys:
            if isinstance(value, dict) and key not in value:
                self.fail(where, f"lacks {key}")

    def do_properties(self, value, properties, _, where):
        if not isinstance(value, dict):
            return set()
        for key in properties.keys() & value.keys():
            self.check(value[key], properties[key], f"{where}.{key}")
        return set(properties)

    def do_additionalProperties(self, value, allowed, schema, where):
        if allowed is False and isinstance(value, dict):
            self.only(value, set(schema["properties"]), where)

    def do_allOf(self, value, schemas, _, where):
        return set().union(*(self.check(value, s, where) for s in schemas))

    def do_anyOf(self, value, schemas, _, where):
        if not any(self.valid(value, s) for s in schemas):
            self.fail(where, f"{value!r} fits none of the choices")

    def do_not(self, value, schema, _, where):
        if self.valid(value, schema):
            self.fail(where, "is what it must not be")

    def do_if(self, value, condition, schema, where):
        if self.valid(value, condition):
            return self.check(value, schema["then"], where)
        return set()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = Schema(json.load(file))
    lines = 0
    with open(sys.argv[2], encoding="utf-8", newline="\n") as file:
        for lines, line in enumerate(file, 1):
            value = json.loads(line, object_pairs_hook=no_duplicates)
            schema.check(value, schema.root, f" line {lines}")
    for problem in schema.problems:
        print(problem)
    if lines == 0:
        sys.exit("no line to check")
    sys.exit(1 if schema.problems else 0)


main()

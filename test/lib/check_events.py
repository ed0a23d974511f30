#!/usr/bin/python3
"""check_events.py FOLDER < LINES: validate events against the JSON schemas of FOLDER.

Each line is {"schema": "public" or null, "event": {...}}: null means the schema of the kind,
KIND.json or THING.json.  Prints a line for each fault, and last "N events, N faults".
"""
import json
import os
import sys
import warnings

warnings.simplefilter("ignore", DeprecationWarning)
import jsonschema

folder = sys.argv[1]
schemas = {}
for file in sorted(os.listdir(folder)):
    with open(os.path.join(folder, file), encoding="utf-8") as f:
        schemas[file] = json.load(f)

faults = 0
validators = {}
for file, schema in schemas.items():
    if schema.get("$id") != file:
        print(f"{file}: $id is {schema.get('$id')}")
        faults += 1
    jsonschema.Draft202012Validator.check_schema(schema)
    resolver = jsonschema.RefResolver(base_uri=file, referrer=schema, store=schemas)
    validators[file] = jsonschema.Draft202012Validator(
        schema, resolver=resolver, format_checker=jsonschema.FormatChecker())

n = 0
for line in sys.stdin:
    case = json.loads(line)
    event = case["event"]
    kind = event["kind"]
    names = [case["schema"]] if case["schema"] else [kind, kind.split(".")[0]]
    file = next((f"{name}.json" for name in names if f"{name}.json" in schemas), None)
    n += 1
    if file is None:
        print(f"{kind}: there is no schema")
        faults += 1
        continue
    for error in validators[file].iter_errors(event):
        where = "/".join(str(part) for part in error.absolute_path)
        print(f"{kind} ({file}) {where}: {error.message}: {json.dumps(event['data'])}")
        faults += 1
print(f"{n} events, {faults} faults")

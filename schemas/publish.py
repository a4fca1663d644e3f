"""What others read of our language, written from it: a JSON Schema per event type and a page per topic. A development tool; run it in a checkout.

`python -m schemas.publish` writes schemas/published/<type>.json (the wire form, data nested) and deploy/console/topics/<topic>.md (what Redpanda Console
shows beside a topic; the examples are the golden files). `--check` writes nothing and exits 1 when something is stale; a test does the same.
"""

import inspect
import json
import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import click
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from schemas.envelope import ENVELOPE, Event
from schemas.registry import BY_TYPE
from schemas.topics import TOPICS, Topic

ROOT = Path(__file__).parents[1]
SCHEMAS, PAGES, GOLDEN = ROOT / "schemas" / "published", ROOT / "deploy" / "console" / "topics", ROOT / "tests" / "unit" / "schemas" / "golden"
GENERATED = "<!-- Written by `python -m schemas.publish`; change the event types or the catalogue, not this page. -->\n"

MEANING = {     # of the envelope's attributes; CloudEvents names
    "specversion": "CloudEvents version",
    "id": "function of the fact: the same fact has the same id by whichever road and however often it arrives",
    "source": "who says so",
    "type": "what happened, with the version of its data",
    "subject": "key of the topic",
    "time": "when it happened in the market, UTC; of a bar its END",
    "recordedtime": "when it was written down, UTC",
    "dataschema": "names the JSON Schema of the data",
    "correlationid": "the first event of the whole story",
    "causationid": "the one event that led to this one",
    "causes": "further events that led to it",
    "seq": "contiguous per key and epoch; single-writer streams only",
    "prevhash": "digest of the wire bytes of the record before",
    "epoch": "lease under which it was written",
    "runid": "process that wrote it",
}


class WireSchema(GenerateJsonSchema):
    """JSON Schema of what stands on the wire: decimals are strings there."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        return {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}


def rendered() -> dict[Path, str]:
    """Every file there should be and what it should say."""
    schemas = {kind: json_schema(event) for kind, event in BY_TYPE.items()}
    files = {SCHEMAS / f"{kind}.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for kind, schema in schemas.items()}
    return files | {PAGES / f"{topic.name}.md": page(topic, schemas) for topic in TOPICS.values()}


def stale() -> list[Path]:
    """Files that are missing, say something else, or should not be there."""
    wanted = rendered()
    there = {*SCHEMAS.glob("*.json"), *PAGES.glob("*.md")}
    return sorted({path for path, text in wanted.items() if path not in there or path.read_text(encoding="utf-8") != text} | there - wanted.keys())


def json_schema(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema of one event type as it stands on the wire."""
    flat = event.model_json_schema(by_alias=False, schema_generator=WireSchema)
    said = comments(event)
    envelope: dict[str, Any] = {} if event.lean else {"specversion": {"const": "1.0"}, "dataschema": {"const": f"urn:catalyst:{event.kind()}"}}
    data: dict[str, Any] = {}
    for name, schema in flat["properties"].items():
        schema = {key: value for key, value in schema.items() if key not in ("title", "default")}
        if name in ENVELOPE:
            envelope[name] = {**_without_null(schema), "description": MEANING[name]}
        else:
            data[name] = {**schema, "description": said[name]} if name in said else schema
    required = [name for name in ENVELOPE if name in flat["required"] or (name in ("specversion", "type", "dataschema") and name in envelope)]
    definitions = {"$defs": {name: _described(schema) for name, schema in flat["$defs"].items()}} if "$defs" in flat else {}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:catalyst:{event.kind()}", "title": event.kind(),
        "description": inspect.getdoc(event), "type": "object",
        "properties": {**{name: envelope[name] for name in ENVELOPE if name in envelope},
                       "data": {"type": "object", "properties": data, "required": [name for name in flat["required"] if name in data]}},
        "required": [*required, "data"], **definitions,
    }


@cache      # 30 ms a class: its whole module is parsed to find its source
def comments(kind: type) -> Mapping[str, str]:
    """What the comment behind each field says (its unit, its sign, when it is absent), of the class and those it comes from."""
    said: dict[str, str] = {}
    for part in reversed([part for part in kind.__mro__ if part.__module__.startswith("schemas.")]):
        said |= dict(re.findall(r"^    (\w+): .*?  # *(.+)$", inspect.getsource(part), re.MULTILINE))
    return said


def page(topic: Topic, schemas: Mapping[str, dict[str, Any]]) -> str:
    """A topic in Markdown: how it is kept, and every event on it with one example."""
    facts = {
        "key": topic.key,
        "partitions": f"{topic.partitions}, for ever: a key stays where it is",
        "kept": "for ever" if topic.retention is None else f"{topic.retention // timedelta(days=1)} days",
        "durability": "acknowledged by all replicas" + (", flushed to disk with every append" if topic.fsync else ""),
        "order": "one writer per key: contiguous `seq` and a hash chain within an epoch" if topic.single_writer else "per key; deduplicated by `id`",
        "compression": topic.compression if topic.compression != "producer" else "none",
        "record time": "of the append, by the broker's clock",
    }
    table = [f"| {name} | {value} |" for name, value in facts.items()]
    lines = [GENERATED, f"# {topic.name}\n", f"{topic.doc}\n", "| | |", "|---|---|", *table, "", "## Events\n"]
    for event in topic.carries:
        lines += _section(event, schemas[event.kind()])
    return "\n".join(lines)


def _section(event: type[Event], schema: Mapping[str, Any]) -> list[str]:
    fields = schema["properties"]["data"]["properties"]
    same = ", ".join(f"`{name}`" for name in event.identity)
    example = json.dumps(json.loads((GOLDEN / f"{event.kind()}.json").read_bytes()), indent=2, ensure_ascii=False)
    return [
        f"### {event.kind()}\n", f"{schema['description']}\n", f"The same fact when equal in {same}.\n",
        "| data | type | meaning |", "|---|---|---|",
        *(f"| `{name}` | {_type(field)} | {field.get('description', '').replace('|', '/')} |" for name, field in fields.items()),
        "", "```json", example, "```", ""]


def _type(field: Mapping[str, Any]) -> str:
    """A field's type in a word or two."""
    match field:
        case {"anyOf": options}:
            return " or ".join(_type(option) for option in options)
        case {"$ref": reference}:
            return str(reference).rpartition("/")[2]
        case {"enum": values}:
            return " · ".join(map(str, values))
        case {"const": value}:
            return str(value)
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}"
        case {"type": "string", "format": kind}:
            return {"date-time": "time"}.get(kind, str(kind))
        case {"type": "string", "pattern": pattern} if "[0-9]+" in pattern:
            return "decimal"
        case {"type": kind}:
            return str(kind)
        case _:
            return "any"


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """An envelope attribute that is absent is left out on the wire, never null."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    return options[0] if len(options) == 1 else schema


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {name: {key: value for key, value in field.items() if key != "title"} for name, field in schema["properties"].items()}
    return {**schema, "properties": properties}


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; name what is stale and exit 1.")
def main(check: bool) -> None:
    """Write the JSON Schemas and the topic pages."""
    wanted, behind = rendered(), stale()
    for path in behind:
        if not check and path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        elif not check:
            path.unlink()
        click.echo(f"{'stale' if check else 'written' if path in wanted else 'removed'}: {path.relative_to(ROOT)}")
    sys.exit(1 if check and behind else 0)


if __name__ == "__main__":
    main()

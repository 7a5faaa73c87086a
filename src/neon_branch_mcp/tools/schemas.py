"""The JSON schemas that clients see: what pydantic makes, without what costs tokens and says nothing."""

from typing import Any

from pydantic import TypeAdapter

Json = dict[str, Any]


def input_schema(schema: Json) -> Json:
    """An argument schema without titles, defaults and "or null": a missing argument and null mean the same here."""
    properties = {name: _argument(prop) for name, prop in schema.get("properties", {}).items()}
    lean: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    if "required" in schema:
        lean["required"] = schema["required"]
    if "$defs" in schema:
        lean["$defs"] = {name: _untitled(value) for name, value in schema["$defs"].items()}
    return lean


def _argument(prop: Json) -> Json:
    lean = _untitled({k: v for k, v in prop.items() if k != "default"})
    arms = [arm for arm in lean.pop("anyOf", []) if arm != {"type": "null"}]
    if len(arms) == 1:
        return {**arms[0], **lean}
    return {**lean, "anyOf": arms} if arms else lean


def _untitled(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _untitled(v) for k, v in value.items() if k != "title" or not isinstance(v, str)}
    return [_untitled(v) for v in value] if isinstance(value, list) else value


def output_schema(result: type[Any]) -> Json:
    """The shape of a result in few tokens: the fields that are always there and those one level below, with their types. A field with a
    default is left out here, and in results where it has it.
    """
    schema = TypeAdapter(result).json_schema(mode="serialization")
    defs = schema.get("$defs", {})
    always = schema.get("required", [])
    return {
        "type": "object",
        "properties": {name: _shape(schema["properties"][name], defs, nested=False) for name in always},
        "required": always,
    }


def _shape(schema: Json, defs: Json, *, nested: bool) -> Json:
    if "$ref" in schema:
        return _shape(defs[schema["$ref"].rpartition("/")[2]], defs, nested=nested)
    arms = [a for a in schema.get("anyOf", ()) if a != {"type": "null"}]
    if arms and len(arms) < len(schema["anyOf"]):
        # Which of the alternatives it is matters less than that it may be absent.
        inner = _shape(arms[0], defs, nested=nested) if len(arms) == 1 else {}
        return {**inner, "type": [inner["type"], "null"]} if isinstance(inner.get("type"), str) else {}
    if schema.get("type") == "object" and "properties" in schema:
        if nested:
            return {"type": "object"}
        always = [n for n in schema["properties"] if n in schema.get("required", ())]
        return {"type": "object", "properties": {n: _shape(schema["properties"][n], defs, nested=True) for n in always}}
    if schema.get("type") == "array":
        items = schema.get("items")
        inner = _shape(items, defs, nested=nested) if isinstance(items, dict) and items else {}
        return {"type": "array", "items": inner} if inner else {"type": "array"}
    return {k: v for k, v in schema.items() if k == "type"}

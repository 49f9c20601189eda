"""What Schemathesis cannot know from openapi.yaml alone, and one check of our own.

A generated request is worth something only where it gets as far as the rule that it means to try. A key used twice, a
version nobody has and a cursor nobody gave would stop it before that, so those three are made real where the test does
not mean to break them.
"""

import itertools
import json

import schemathesis
from schemathesis.core.parameters import ParameterLocation

_keys = itertools.count(1)

# What a schema can say of a field. A request that keeps its schema and is refused for one of these shows that the file
# promises more than the server takes.
STRUCTURAL = {"required", "unknown_field", "wrong_type", "too_short", "too_long"}


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or case.meta.is_negative_at(ParameterLocation.HEADER):
        return
    for name in list(case.headers or {}):
        if name.lower() == "idempotency-key":
            # The example's key, sent with another body, would be refused as reused before the body is looked at.
            case.headers[name] = f"contract-{next(_keys)}"
        elif name.lower() == "if-match":
            # Whatever version there is: what is generated is nearly never the present one.
            case.headers[name] = "*"
    if case.query and not case.meta.is_negative_at(ParameterLocation.QUERY):
        # Only a list gives cursors. tests/it/lists.rs walks them.
        case.query.pop("cursor", None)


@schemathesis.check
def nothing_that_the_schema_allows_is_refused_for_its_shape(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 422:
        return
    refused = [error for error in response.json().get("errors", []) if error["code"] in STRUCTURAL]
    if refused:
        raise AssertionError(f"the schema allows what the server refuses: {json.dumps(refused, ensure_ascii=False)}")

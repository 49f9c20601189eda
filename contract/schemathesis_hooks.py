"""What Schemathesis cannot know from openapi.yaml alone, and one check of our own.

A generated request is worth something only where it gets as far as the rule that it means to try. A key used twice, a
version nobody has, a cursor nobody gave or the id of an example would stop it before that: they are made real wherever
the test does not mean to break them.
"""

import itertools
import json
import os
import unicodedata
from urllib.parse import urlencode

import schemathesis
from schemathesis.core import NOT_SET
from schemathesis.core.parameters import ParameterLocation

_keys = itertools.count(1)

# Ids of examples in openapi.yaml, and what this server has in their place (bin/contract makes it).
REAL = json.loads(os.environ.get("CONTRACT_REAL_IDS", "{}"))
# The caller's own account and token: a run that locks itself out is refused everything from then on, and finds nothing.
OWN = set(os.environ.get("CONTRACT_OWN_IDS", "").split())
# Whom staff files for; an organisation's program files for itself.
ORGANISATION = os.environ.get("CONTRACT_ORGANISATION")
FOR_SOMEBODY = {"create_requester", "file_ticket", "file_open311_request", "match_sla_policy", "simulate_sla"}
# Longer than 64 KiB no address is read at all.
LONGEST_ADDRESS = 32 << 10
# What a schema can say of a field. A request that keeps its schema and is refused for one of these shows that the file
# promises more than the server takes.
STRUCTURAL = {"required", "unknown_field", "wrong_type", "too_short", "too_long"}


def _written_as_json_writers_do(value):
    """`4.0` is an integer to a schema. The file asks for `4`, as every JSON library but a few writes it."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_written_as_json_writers_do(item) for item in value]
    if isinstance(value, dict):
        return {name: _written_as_json_writers_do(item) for name, item in value.items()}
    return value


def _wrong_without_null(value):
    """The file lets a server read `null` as absent (see "Requests" there), so it is no violation: send a surer one."""
    if isinstance(value, dict):
        return {name: [[None]] if item is None else _wrong_without_null(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_wrong_without_null(item) for item in value]
    return value


def _as_stored(value):
    """The file counts what is stored (see "Text" there): NFC without white space around it, which no schema can say."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value.strip())
    if isinstance(value, dict):
        return {name: _as_stored(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_stored(item) for item in value]
    return value


def _mend_headers(case):
    for name in list(case.headers or {}):
        if name.lower() == "idempotency-key":
            # The example's key, sent with another body, would be refused as reused before the body is looked at.
            case.headers[name] = f"contract-{next(_keys)}"
        elif name.lower() == "if-match":
            # Whatever version there is: what is generated is nearly never the present one.
            case.headers[name] = "*"


def _mend_body(case):
    if case.meta.is_negative_at(ParameterLocation.BODY):
        if isinstance(case.body, dict):
            case.body = _as_stored(_wrong_without_null(case.body))
        elif case.body is NOT_SET and not case.operation.definition.raw.get("requestBody", {}).get("required", True):
            # Nothing at all is a right body where none is required.
            case.body, case.media_type = [], "application/json"
        return
    for_somebody = ORGANISATION and case.operation.definition.raw.get("operationId") in FOR_SOMEBODY
    if case.body is NOT_SET:
        if for_somebody:
            case.body, case.media_type = {"organisation": ORGANISATION}, "application/json"
        return
    body = _written_as_json_writers_do(case.body)
    if for_somebody and isinstance(body, dict):
        body["organisation"] = ORGANISATION
    # Whatever is assigned is judged anew, and the bytes of a file would be found wrong.
    # (Not compared as values: 4.0 equals 4 here.)
    if isinstance(body, (dict, list)) and repr(body) != repr(case.body):
        case.body = body


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None:
        return
    if not case.meta.is_negative_at(ParameterLocation.HEADER):
        _mend_headers(case)
    if case.query and not case.meta.is_negative_at(ParameterLocation.QUERY):
        # Only a list gives cursors. tests/it/lists.rs walks them.
        case.query.pop("cursor", None)
        # The façade's other way to name a caller; this run has one already, in `Authorization`.
        case.query.pop("api_key", None)
    if len(urlencode(case.query or {}, doseq=True)) > LONGEST_ADDRESS:
        # It would not reach the application: see "Requests" in the file.
        case.query = {}
    if case.path_parameters and not case.meta.is_negative_at(ParameterLocation.PATH):
        for name, value in case.path_parameters.items():
            case.path_parameters[name] = REAL.get(value, value) if isinstance(value, str) else value
    _mend_body(case)


def _is_stored_otherwise(body, pointer):
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(body, dict):
            body = body.get(step)
        elif isinstance(body, list) and step.isdigit() and int(step) < len(body):
            body = body[int(step)]
        else:
            return False
    return isinstance(body, str) and (_as_stored(body) != body or _may_show_nothing(body))


# Letters to Unicode, and nothing to the eye.
FILLERS = "\u115f\u1160\u3164\uffa0"


def _may_show_nothing(text):
    """The server reads a text that nobody can see as empty. Which signs are unseen, src/text.rs tells exactly."""
    return not any(letter.isalnum() and letter not in FILLERS for letter in text)


@schemathesis.check
def nothing_that_the_schema_allows_is_refused_for_its_shape(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 422:
        return
    # Each topic has a schema of its own fields, made while the server runs. How long a password must be is said by
    # the server's settings.
    refused = [
        error
        for error in response.json().get("errors", [])
        if error["code"] in STRUCTURAL
        and not error.get("pointer", "").startswith("/custom_fields")
        and not (error["code"] == "too_short" and error.get("pointer") in {"/password", "/new"})
        and not _is_stored_otherwise(case.body, error.get("pointer", ""))
    ]
    if refused:
        raise AssertionError(f"the schema allows what the server refuses: {json.dumps(refused, ensure_ascii=False)}")

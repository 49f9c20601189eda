"""A question's way through the API by the generated Python client: upload, file, read, reply, answer, list.

bin/contract makes the package `giaidap_client` from openapi.yaml and runs this against a real server.
"""

import os
from http import HTTPStatus
from io import BytesIO
from typing import TypeVar
from uuid import uuid4

from giaidap_client import AuthenticatedClient
from giaidap_client.api.attachments import upload_attachment
from giaidap_client.api.ticket_operations import claim_ticket, resolve_ticket
from giaidap_client.api.tickets import file_ticket, list_messages, list_tickets, post_message, show_ticket
from giaidap_client.models import (
    Attachment,
    CustomFields,
    FileTicket,
    Message,
    MessageList,
    NewMessage,
    NewRequester,
    Nothing,
    Outcome,
    Problem,
    ResolveTicket,
    TargetKind,
    Ticket,
    TicketList,
    TicketState,
    Upload,
)
from giaidap_client.types import File, Response, Unset

T = TypeVar("T")


def client_of(token: str) -> AuthenticatedClient:
    return AuthenticatedClient(
        base_url=os.environ["ROUNDTRIP_URL"],
        token=token,
        headers={"Accept-Language": "en"},
        raise_on_unexpected_status=True,
    )


def answered(response: Response[T | Problem], kind: type[T]) -> T:
    """What the server answered, or an end of the program with its problem."""
    assert isinstance(response.parsed, kind), (response.status_code, response.content)
    return response.parsed


ministry = client_of(os.environ["ROUNDTRIP_KEY"])
agent = client_of(os.environ["ROUNDTRIP_AGENT"])
# The file first, then its id in the question.
file = Upload(file=File(payload=BytesIO("mã gói tin,thời điểm\n".encode()), file_name="gói tin.csv"))
uploaded = answered(upload_attachment.sync_detailed(client=ministry, body=file), Attachment)
assert uploaded.media_type == "text/csv"
own_fields = CustomFields()
own_fields["so_huyen"] = 9
question = FileTicket(
    subject="Kết nối LGSP với NGSP",
    body="Đề nghị hướng dẫn cách đăng ký dịch vụ dùng chung.",
    topic="NGSP",
    requester=NewRequester(name="Trần Thị Lan", email="lan@hue.example"),
    custom_fields=own_fields,
    attachments=[uploaded.id],
)

# File it, and again as a program does that lost the answer.
key = str(uuid4())
filed = answered(file_ticket.sync_detailed(client=ministry, body=question, idempotency_key=key), Ticket)
again = file_ticket.sync_detailed(client=ministry, body=question, idempotency_key=key)
assert answered(again, Ticket).number == filed.number
assert again.headers["Idempotency-Replayed"] == "true"

read = show_ticket.sync_detailed(filed.number, client=ministry)
ticket = answered(read, Ticket)
assert ticket.state is TicketState.QUEUED
assert ticket.organisation.code == "H57"
assert ticket.queue.code == "technology"
assert [attached.name for attached in ticket.attachments] == ["gói tin.csv"]
assert ticket.custom_fields["so_huyen"] == 9
clock = next(clock for clock in ticket.clocks if clock.target is TargetKind.FIRST_RESPONSE)
assert clock.due_at is not None and clock.due_at > ticket.filed_at

# Unchanged since: 304 without a body.
unchanged = show_ticket.sync_detailed(filed.number, client=ministry, if_none_match=read.headers["ETag"])
assert unchanged.status_code is HTTPStatus.NOT_MODIFIED

# A word from the asker, then the agent takes the question on what was seen, and answers it.
word = NewMessage(body="Bổ sung: tỉnh đã có LGSP phiên bản 2.")
answered(post_message.sync_detailed(filed.number, client=ministry, body=word), Message)
stale = claim_ticket.sync_detailed(filed.number, client=agent, body=Nothing(), if_match='"0"')
assert stale.status_code is HTTPStatus.PRECONDITION_FAILED
assert isinstance(stale.parsed, Problem)
claimed = answered(claim_ticket.sync_detailed(filed.number, client=agent, body=Nothing()), Ticket)
assert claimed.state is TicketState.ASSIGNED
answer = ResolveTicket(outcome=Outcome.ANSWERED, message="Thực hiện theo hướng dẫn kèm theo.")
answered(resolve_ticket.sync_detailed(filed.number, client=agent, body=answer), Ticket)

# The asker reads the answer, and finds the question in the list.
messages = answered(list_messages.sync_detailed(filed.number, client=ministry), MessageList)
assert any(message.body == answer.message for message in messages.items)
page = answered(list_tickets.sync_detailed(client=ministry, state=[TicketState.RESOLVED], limit=1), TicketList)
assert [item.state for item in page.items] == [TicketState.RESOLVED]

# What is wrong is said by field.
question.subject = ""
refused = file_ticket.sync_detailed(client=ministry, body=question)
assert refused.status_code is HTTPStatus.UNPROCESSABLE_ENTITY
assert isinstance(refused.parsed, Problem) and not isinstance(refused.parsed.errors, Unset)
assert refused.parsed.errors[0].pointer == "/subject"

print(f"Python: {filed.number} filed with a file, read, replied to, resolved, listed")

"""The pure part of judging: is this message what the case asks for?"""

import hashlib
import json
import re

from cases import Accepted, CutShort, Own, Refused

REQUESTS, RECEIVED, ANSWERS = "requests", "as received", "answers"


def owner(entry):
    """The token of the run that an entry's bytes come from; empty where they do not tell."""
    match = re.search(rb"[ut][0-9]{2}-[0-9a-f]{8}", bytes(entry.raw))
    return entry.token or (match[0] if match else b"")


def own_case(answer):
    try:
        return json.loads(answer.body)["Case"].encode()
    except (ValueError, KeyError, TypeError):
        return None


def answer_fault(answer, wanted, token):
    """The recorder's default answer must come back, for this request and no other."""
    if answer.status != 200:
        return "has status %d" % answer.status
    if answer.get(b"X-Case") not in (token, b""):
        return "is of case %r" % answer.get(b"X-Case")
    if wanted.method == b"HEAD":
        return None
    try:
        content = json.loads(answer.body)
    except ValueError:
        return "is not the plugin's"
    if content["Sha"] != hashlib.sha256(wanted.body).hexdigest()[:16] or content["Target"].encode() != wanted.target:
        return "is for another body or target"
    return None


def fields_fault(fields, wanted):
    for name, value in wanted:
        values = [v for n, v in fields if n.lower() == name.lower()]
        if b", ".join(values) != value:
            return "field %r is %r, not %r" % (name, values, value)
    return None


def request_fault(entry, wanted):
    if entry.violation or not entry.complete:
        return "not a whole request"
    message = entry.message
    if message.method != wanted.method or message.target != wanted.target:
        return "start line %r %r" % (message.method, message.target)
    if bytes(message.body) != wanted.body:
        return "body of %d bytes, not %d" % (len(message.body), len(wanted.body))
    if entry.leaks:
        return "fields of the other connection %s" % entry.leaks
    text = b"\n".join(name + b": " + value for name, value in message.fields).lower()
    for absent in wanted.absent:
        if absent.lower() in text:
            return "%r was forwarded" % absent
    return fields_fault(message.fields, wanted.fields)


def expectation(case, kind):
    """What the case asks for, in words, for the list of failures."""
    if isinstance(case, Accepted):
        text = "the same request(s), strictly HTTP/1.1"
        if kind == REQUESTS:
            text = "%d request(s), served with 200" % len(case.wanted)
        return text + (", or a refusal %s" % sorted(case.or_refused) if case.or_refused else "")
    if isinstance(case, Refused):
        if kind == REQUESTS:
            return "%s%s and the connection closed" % ("%d served, then " % case.answered if case.answered else "",
                    sorted(case.statuses))
        return "never a complete request" if case.partial else "nothing of it"
    if isinstance(case, CutShort):
        return "no success for it" if kind == REQUESTS else "never a complete request"
    if isinstance(case, Own):
        return "answers %s" % (case.statuses,) if kind == REQUESTS else "at most %d forwarded" % case.forwarded
    if kind == RECEIVED:
        return "the call exactly once"
    wanted = "502 {Err}" if not case.status else "%d with %d bytes" % (case.status, len(case.body))
    return wanted + (" or 502" if case.or_bad_gateway else "") + (" or visibly truncated" if case.or_truncated else "")

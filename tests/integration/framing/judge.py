"""Runs one case in one variant against a proxy and says what was right and what was not."""

import json
from dataclasses import dataclass

from cases import Accepted, CutShort, Own, Refused, Response, head, instantiate, pieces, token_source, with_token, X
from client import Conversation
from recorder import Script
from verdicts import ANSWERS, RECEIVED, REQUESTS, answer_fault, expectation, fields_fault, own_case, owner, request_fault

PROBE = head(b"Content-Length: 0", target=b"/VolumeDriver.Probe")


@dataclass
class Check:
    """One verdict. `got` is empty where it is good."""

    kind: str
    group: str
    name: str
    variant: str
    rule: str
    expected: str
    got: str
    wire: str

    @property
    def good(self):
        return not self.got


class Lane:
    """One published socket with the recorder behind it; runs one case at a time.

    `json_errors`: the proxy's own errors must be JSON with an Err member. `patience`: seconds until silence is a fault.
    """

    def __init__(self, path, recorder, prefix, json_errors, patience=4.0):
        self.path = path
        self.recorder = recorder
        self.tokens = token_source(prefix)
        self.json_errors = json_errors
        self.patience = patience
        self.refused_tokens = {}
        self.current = b""
        self.last_seen = ""

    def connect(self, seconds=None):
        return Conversation(self.path, seconds or self.patience)

    def run(self, case, variant):
        """The checks of one case in one variant."""
        token = self.current = next(self.tokens)
        case = instantiate(case, token)
        mark = self.recorder.mark()
        if isinstance(case, Accepted):
            kind, answer = REQUESTS, self._accepted(case, variant, token)
            received = self._received_accepted(case, mark)
        elif isinstance(case, Refused):
            kind, answer = REQUESTS, self._refused(case, variant)
            answer = answer or self.probe("on a new connection")
            received = self._received_refused(case, mark, case.answered, case.partial)
            self.refused_tokens[token] = (case, self.recorder.mark())
        elif isinstance(case, CutShort):
            kind, answer = REQUESTS, self._cut_short(case, variant)
            answer = answer or self.probe("on a new connection")
            received = self._received_refused(case, mark, case.answered, case.partial)
        elif isinstance(case, Own):
            kind, answer = REQUESTS, self._own(case, variant)
            received = self._received_own(case, mark)
        else:
            kind, answer = ANSWERS, self._response(case, variant, token)
            received = self._received_once(token, mark)
        data = case.raw if isinstance(case, Response) else case.wire
        return [Check(what, case.group, case.name, variant, case.rule, expectation(case, what), got or "",
                "%r" % data[:400])
                for what, got in ((kind, answer), (RECEIVED, received))]

    # What the client saw. Each returns None or "" when it is good, else what was wrong.

    def _accepted(self, case, variant, token):
        with_conversation = self.connect()
        try:
            return self._converse(with_conversation, case, variant, token)
        finally:
            with_conversation.close()

    def _converse(self, talk, case, variant, token):
        talk.expect(*[wanted.method for wanted in case.wanted])
        problem = self._send_accepted(talk, case, variant)
        talk.read_answers(len(case.wanted))
        if case.or_refused and talk.finals and talk.finals[-1].status in case.or_refused:
            talk.read_to_end()
            return None if talk.eof else "refused, but left open: " + talk.brief()
        if talk.violation or len(talk.finals) != len(case.wanted):
            return talk.brief()
        for number, (answer, wanted) in enumerate(zip(talk.finals, case.wanted), 1):
            if fault := answer_fault(answer, wanted, token):
                return "answer %d %s: %s" % (number, fault, talk.brief())
        if case.no_interim and talk.interims:
            return "an interim answer to an HTTP/1.0 client: " + talk.brief()
        old = case.wire.rpartition(b" HTTP/1.")[2][:3] == b"0\r\n"
        if old and talk.finals[-1].framing == "chunked":
            return "chunks to an HTTP/1.0 client: " + talk.brief()
        return problem or self._afterwards(talk, case.closes, old)

    def _send_accepted(self, talk, case, variant):
        paced = variant != "whole"
        if not case.waits_for_100:
            talk.send(pieces(case.wire, variant, case.name), paced)
            if case.half_close:
                talk.half_close()
            return None
        at = case.waits_for_100
        talk.send(pieces(case.wire[:at], variant, case.name), paced)
        talk.extend(2)
        came = talk.read_until(lambda: talk.interims or talk.finals)
        talk.extend(self.patience)
        if not talk.finals:
            talk.send(pieces(case.wire[at:], variant, case.name), paced)
        if not came:
            return "no 100 within 2 s"
        return None if talk.interims and talk.interims[0].status == 100 else "no 100 before the answer"

    def _afterwards(self, talk, closes, old):
        """After the last answer: closed where it must be; otherwise the connection must serve another call."""
        last = talk.finals[-1].options()
        announced = b"close" in last or (old and b"keep-alive" not in last)
        if closes or announced:
            talk.extend(self.patience)
            talk.read_to_end()
            if not talk.eof:
                return "left open: " + talk.brief()
            return talk.brief() if talk.violation or talk.unfinished() else None
        return self.probe_on(talk)

    def probe_on(self, talk):
        token = next(self.tokens)
        talk.extend(self.patience)
        talk.expect(b"POST")
        count = len(talk.finals)
        talk.send([with_token(PROBE, token)])
        talk.read_answers(count + 1)
        if talk.violation or len(talk.finals) != count + 1:
            return "the next call on this connection failed: " + talk.brief()
        last = talk.finals[-1]
        if last.status != 200 or own_case(last) != token:
            return "the next call on this connection got %d with case %r" % (last.status, own_case(last))
        return None

    def probe(self, where):
        """A call on a new connection must get its own answer."""
        talk = self.connect()
        problem = self.probe_on(talk)
        talk.close()
        return problem and where + ": " + problem

    def _refused(self, case, variant):
        talk = self.connect()
        talk.expect(*[b"POST"] * (case.answered + 1))
        talk.send(pieces(case.wire, variant, case.name), variant != "whole")
        waited = False
        if case.may_wait:
            talk.extend(0.4)
            talk.read_until(lambda: len(talk.finals) > case.answered)
            waited = len(talk.finals) <= case.answered and not talk.eof
            if waited:
                talk.half_close()
            talk.extend(self.patience)
        # A wrong answer is a failure already: no need to see whether the connection closes too.
        talk.read_until(lambda: talk.violation or any(f.status not in case.statuses for f
                in talk.finals[case.answered:]))
        talk.close()
        if talk.violation or talk.unfinished() or not talk.eof:
            return talk.brief()
        if [final.status for final in talk.finals[:case.answered]] != [200] * case.answered:
            return talk.brief()
        rest = talk.finals[case.answered:]
        if not rest and waited:
            return None
        if len(rest) != 1 or rest[0].status not in case.statuses:
            return talk.brief()
        return self.error_fault(rest[0])

    def error_fault(self, answer):
        if not self.json_errors:
            return None
        try:
            good = isinstance(json.loads(answer.body)["Err"], str)
        except (ValueError, KeyError, TypeError):
            good = False
        return None if good else "no JSON {Err}: %d %r" % (answer.status, bytes(answer.body[:100]))

    def _cut_short(self, case, variant):
        talk = self.connect()
        talk.expect(*[b"POST"] * (case.answered + 1))
        talk.send(pieces(case.wire, variant, case.name), variant != "whole")
        if case.leave == "close":
            talk.close()
            return None
        talk.half_close()
        talk.read_to_end()
        talk.close()
        codes = [final.status for final in talk.finals]
        served, rest = codes[:case.answered], codes[case.answered:]
        good = talk.eof and not talk.violation and not talk.unfinished() and served == [200] * case.answered
        return None if good and len(rest) <= 1 and all(code >= 400 for code in rest) else talk.brief()

    def _own(self, case, variant):
        talk = self.connect()
        talk.expect(*case.methods)
        talk.send(pieces(case.wire, variant, case.name), variant != "whole")
        talk.read_answers(len(case.statuses))
        try:
            got = tuple(final.status for final in talk.finals)
            gave_up = got == case.statuses[:len(got)] and got and b"close" in talk.finals[-1].options()
            if talk.violation or (got != case.statuses and not gave_up):
                return talk.brief()
            for method, final in zip(case.methods, talk.finals):
                if final.status != 200 and method != b"HEAD" and (fault := self.error_fault(final)):
                    return fault
            return self._afterwards(talk, False, False)
        finally:
            talk.close()

    def _received_own(self, case, mark):
        entries = self._entries(mark)
        good = len(entries) <= case.forwarded and all(e.complete and not e.leaks and e.message.target == X for e
                in entries)
        return None if good else "%s" % [entry.brief() for entry in entries]

    def _response(self, case, variant, token):
        script = Script(pieces(case.raw, variant, case.name) if case.raw else [], case.then,
                "head" if case.early else "complete",
                        variant != "whole", late=case.late)
        self.recorder.script(token, script)
        talk = self.connect()
        try:
            return self._call(talk, case, token, script) or self.probe("on a new connection")
        finally:
            talk.close()

    def _call(self, talk, case, token, script):
        talk.expect(case.method)
        upload = b"u" * (case.upload or 2)
        fields = [] if case.method == b"HEAD" else [b"Content-Length: %d" % len(upload)]
        start = with_token(head(*fields, method=case.method, version=case.version), token)
        talk.send([start])
        if case.early:
            self.recorder.wait(lambda: script.played, self.patience)
        if fields:
            talk.send([upload])
        talk.read_answers(1)
        fault = self._answer_fault(talk, case)
        self.last_seen = talk.brief()
        self._settle(case, token, script)
        if fault:
            return fault
        if case.late:
            talk.extend(0.03)
            talk.read_to_end()
        if talk.eof or not talk.finals:
            return None  # nothing more can come; unannounced closes are judged below
        return self._same_connection(talk, case)

    def _settle(self, case, token, script):
        """Waits until the plugin has sent and closed all it will: a next call that crosses with it proves nothing."""
        mine = lambda: [entry for entry in self.recorder.seen if entry.token == token]  # noqa: E731
        self.recorder.wait(lambda: script.played or not mine(), self.patience)
        if case.then in ("close", "reset"):
            self.recorder.wait(lambda: all(entry.ended for entry in mine()), self.patience)

    def _same_connection(self, talk, case):
        last = talk.finals[-1].options()
        old = case.version == b"HTTP/1.0"
        if b"close" in last or old or case.early:
            talk.extend(self.patience)
            if old or b"close" in last:
                talk.read_to_end()
                return None if talk.eof and not talk.violation else "left open: " + talk.brief()
        problem = self.probe_on(talk)
        if problem and talk.eof and not talk.violation and len(talk.finals) == 1 and case.status == 0:
            return None  # after an error the proxy may close as soon as it likes
        if problem and talk.eof and case.early and not talk.violation:
            return None  # RFC 9112 9.3: a server that will not read the rest closes
        return problem

    def _answer_fault(self, talk, case):
        if talk.violation:
            return talk.brief()
        if not talk.finals:
            if case.or_truncated and talk.eof and talk.unfinished():
                return None
            return talk.brief()
        if len(talk.finals) > 1:
            return talk.brief()
        answer = talk.finals[0]
        if any(mark in talk.raw for mark in case.absent):
            return "what must not be passed on was: " + talk.brief()
        if answer.status == 502 and (case.status == 0 or case.or_bad_gateway):
            return None if case.method == b"HEAD" else self.error_fault(answer)
        if case.status == 0 or answer.status != case.status or bytes(answer.body) != case.body:
            return talk.brief()
        if case.version == b"HTTP/1.0" and (answer.framing == "chunked" or talk.interims):
            return "chunks or interim answers to an HTTP/1.0 client: " + talk.brief()
        if case.interim and case.interim not in [interim.status for interim in talk.interims]:
            return "the %d was not forwarded: %s" % (case.interim, talk.brief())
        return fields_fault(answer.fields, case.fields)

    # What the plugin saw.

    def _entries(self, mark):
        """What arrived since `mark`, less probes and what other runs' tokens show to be a late arrival of theirs."""
        return [entry for entry in self.recorder.since(mark) if owner(entry) in (self.current, b"")]

    def _received_accepted(self, case, mark):
        entries = self._entries(mark)
        if case.or_refused and not any(entry.complete for entry in entries):
            return self._received_refused(case, mark, 0, True)
        if len(entries) != len(case.wanted):
            return "%d requests: %s" % (len(entries), [entry.brief() for entry in entries])
        for entry, wanted in zip(entries, case.wanted):
            if fault := request_fault(entry, wanted):
                return "%s: %s" % (fault, entry.brief())
        return None

    def _received_refused(self, case, mark, complete, partial):
        self.recorder.wait(lambda: all(e.complete or e.ended for e in self._entries(mark)), self.patience)
        entries = self._entries(mark)
        whole = [entry for entry in entries if entry.complete]
        begun = [entry for entry in entries if not entry.complete]
        at_most = isinstance(case, CutShort) and case.leave == "close"
        if len(whole) > complete or (len(whole) < complete and not at_most):
            return "%d complete requests: %s" % (len(whole), [entry.brief() for entry in entries])
        if any(b"Hidden" in entry.raw for entry in entries if entry.message is None or b"Hidden"
                in entry.message.target):
            return "the hidden request: %s" % [entry.brief() for entry in entries]
        if begun and not partial:
            return "bytes of a refused request: %s" % [entry.brief() for entry in begun]
        for entry in begun:
            if entry.violation:
                return "malformed bytes: " + entry.brief()
            if not entry.ended:
                return "an unfinished request whose connection stays open: " + entry.brief()
            if entry.message and entry.leaks:
                return "fields of the other connection %s: %s" % (entry.leaks, entry.brief())
        return None

    def _received_once(self, token, mark):
        entries = self._entries(mark)
        # A proxy that answered before the upload ended may give the upload up.
        good = len(entries) == 1 and entries[0].token == token and not entries[0].violation
        return None if good else "%d requests: %s; the client saw %s" % (len(entries),
                [entry.brief() for entry in entries], self.last_seen)

    def late_arrivals(self):
        """Bytes of refused requests that reached the plugin after their own check."""
        found = []
        for number, entry in enumerate(self.recorder.everything()):
            case, mark = self.refused_tokens.get(owner(entry), (None, 0))
            if case and number >= mark and (entry.complete or not case.partial):
                found.append("%s: %s" % (case.name, entry.brief()))
        return found

"""What one connection cannot show: many clients at once, and answers that break while others are under way.

Each scenario takes a lane and returns its checks. Every body and answer carries an ID of its own.
"""

import random
import threading
import time

from cases import chunk, head, lines, with_token
from judge import Check
from recorder import Script
from verdicts import ANSWERS, REQUESTS, own_case

GROUP = "many clients"
RULE = "RELIABILITY.md 2.4: every call gets its own answer"


def call(token, rng):
    """One call in a random legal spelling, and its token."""
    body = rng.randbytes(rng.choice((0, 1, 100, 5000, 40000)))
    if rng.random() < 0.4:
        half = len(body) // 2
        coded = b"".join(chunk(part) for part in (body[:half], body[half:]) if part)
        return with_token(head(b"Transfer-Encoding: chunked"), token) + coded + b"0\r\n\r\n"
    return with_token(head(b"Content-Length: %d" % len(body)), token) + body


class Crew:
    """Runs one function in several threads, and gathers what went wrong in each."""

    def __init__(self, count, work):
        self.faults = [""] * count
        threads = [threading.Thread(target=self._run, args=(number, work)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _run(self, number, work):
        try:
            self.faults[number] = work(number) or ""
        except OSError as error:
            self.faults[number] = repr(error)


def checks(name, faults, expected, kind=REQUESTS):
    return [Check(kind, GROUP, name, "client %d" % n, RULE, expected, fault, "") for n, fault in enumerate(faults)]


def tokens_for(lane, clients, calls):
    return [[next(lane.tokens) for _ in range(calls)] for _ in range(clients)]


def own_answers(talk, tokens):
    """Reads one answer for each token; says which was wrong."""
    talk.read_answers(len(tokens))
    got = [own_case(answer) for answer in talk.finals]
    if talk.violation or got != tokens:
        wrong = [index for index, token in enumerate(tokens) if index >= len(got) or got[index] != token]
        return "answers %s of %d are not its own: %s" % (wrong[:5], len(tokens), talk.brief())
    return None


def one_by_one(lane):
    """24 clients, 12 calls each on a kept connection."""
    tokens = tokens_for(lane, 24, 12)

    def work(number):
        talk = lane.connect(20)
        rng = random.Random(number)
        try:
            for count, token in enumerate(tokens[number], 1):
                talk.expect(b"POST")
                talk.send([call(token, rng)])
                if fault := own_answers(talk, tokens[number][:count]):
                    return fault
        finally:
            talk.close()
        return None
    return checks("one-by-one", Crew(24, work).faults, "12 answers, its own, in order")


def pipelined(lane):
    """12 clients, 20 calls each, all sent before the first answer is read."""
    tokens = tokens_for(lane, 12, 20)

    def work(number):
        talk = lane.connect(20)
        rng = random.Random(100 + number)
        talk.expect(*[b"POST"] * 20)
        talk.send([call(token, rng) for token in tokens[number]])
        fault = own_answers(talk, tokens[number])
        talk.close()
        return fault
    return checks("pipelined", Crew(12, work).faults, "20 answers, its own, in order")


def out_of_order(lane):
    """Answers take 0 to 60 ms, so that later calls finish before earlier ones."""
    tokens = tokens_for(lane, 16, 4)
    rng = random.Random(7)
    for token in sum(tokens, []):
        lane.recorder.script(token, Script([own(token)], delay=rng.choice((0, 0.01, 0.03, 0.06))))

    def work(number):
        talk = lane.connect(20)
        talk.expect(*[b"POST"] * 4)
        talk.send([call(token, random.Random(number)) for token in tokens[number]])
        fault = own_answers(talk, tokens[number])
        talk.close()
        return fault
    return checks("out-of-order", Crew(16, work).faults, "4 answers, its own, in order", ANSWERS)


def own(token, tail=b""):
    body = b'{"Case": "%s"}' % token
    return lines(b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body)) + body + tail


def broken_neighbours(lane):
    """Every other client's plugin answers carry extra answers, are cut, or end in a reset; the rest must not notice."""
    tokens = tokens_for(lane, 16, 8)
    evil = own(b"evil-evil-ev")
    kinds = (lambda t: Script([own(t, evil)]), lambda t: Script([own(t, evil[:30])]),
            lambda t: Script([own(t)[:-4]], "close"),
             lambda t: Script([own(t)[:40]], "reset"), lambda t: Script([b"garbage\r\n\r\n"], "close"),
                 lambda t: Script([], "close"))
    for number in range(0, 16, 2):
        for index, token in enumerate(tokens[number]):
            lane.recorder.script(token, kinds[(number // 2 + index) % len(kinds)](token))

    def work(number):
        rng = random.Random(number)
        for token in tokens[number]:
            talk = lane.connect(20)
            talk.expect(b"POST")
            talk.send([call(token, rng)])
            talk.read_answers(1)
            talk.close()
            got = [own_case(answer) for answer in talk.finals if answer.status == 200]
            if talk.timed_out or any(case != token for case in got) or (number % 2 and got != [token]):
                return "call %r: %s" % (token, talk.brief())
        return None
    return checks("broken-neighbours", Crew(16, work).faults, "its own answer, or an error where its plugin misbehaves",
            ANSWERS)


def refused_neighbours(lane):
    """Half of the clients smuggle, half make honest calls."""
    tokens = tokens_for(lane, 16, 8)
    hidden = b"POST /VolumeDriver.Hidden HTTP/1.1\r\nHost: plugin\r\nX-Case: evil\r\nContent-Length: 0\r\n\r\n"
    mark = lane.recorder.mark()

    def work(number):
        rng = random.Random(number)
        for token in tokens[number]:
            talk = lane.connect(20)
            talk.expect(b"POST")
            if number % 2:
                talk.send([call(token, rng)])
                fault = own_answers(talk, [token])
            else:
                size = b"Content-Length: %d" % (len(hidden) + 5)
                talk.send([with_token(head(size, b"Transfer-Encoding: chunked"), token) + b"0\r\n\r\n" + hidden])
                talk.read_to_end()
                fault = talk.brief() if not talk.eof or [f.status // 100 for f in talk.finals] not in ([4],
                        [5]) else None
            talk.close()
            if fault:
                return fault
        return None
    result = checks("refused-neighbours", Crew(16, work).faults, "its own answer, or a refusal for the smuggler")
    leaked = [entry.brief() for entry in lane.recorder.since(mark) if b"evil" in entry.raw]
    return result + checks("refused-neighbours-reach", ["; ".join(leaked[:3])], "nothing hidden reaches the plugin",
            "as received")


def abandoned(lane):
    """Clients that leave while their answer is pending: the answer goes to nobody else."""
    tokens = tokens_for(lane, 20, 2)
    for first, _ in tokens:
        lane.recorder.script(first, Script([own(first)], delay=0.05))

    def work(number):
        first, second = tokens[number]
        talk = lane.connect(20)
        talk.expect(b"POST")
        talk.send([call(first, random.Random(number))])
        lane.recorder.wait(lambda: any(e.token == first and e.complete for e in lane.recorder.seen), 5)
        talk.close()
        time.sleep(0.04 + number % 5 * 0.005)  # the next call comes before, with and after the abandoned answer
        talk = lane.connect(20)
        talk.expect(b"POST")
        talk.send([call(second, random.Random(number))])
        fault = own_answers(talk, [second])
        talk.close()
        return fault
    return checks("abandoned", Crew(20, work).faults, "its own answer", ANSWERS)


def slow_readers(lane):
    """8 clients ask for three answers of 1 MiB at once, and read only when all is sent and the plugin is held back."""
    tokens = tokens_for(lane, 8, 3)
    for token in sum(tokens, []):
        body = token * ((1 << 20) // len(token))
        lane.recorder.script(token, Script([lines(b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body)) + body]))

    def work(number):
        talk = lane.connect(20)
        talk.expect(*[b"POST"] * 3)
        talk.send([with_token(head(b"Content-Length: 0"), token) for token in tokens[number]])
        time.sleep(0.05)
        talk.read_answers(3)
        good = len(talk.finals) == 3 and all(bytes(f.body) == t * ((1 << 20) // len(t)) for f,
                t in zip(talk.finals, tokens[number]))
        talk.close()
        return None if good and not talk.violation else talk.brief()
    return checks("slow-readers", Crew(8, work).faults, "three whole answers, its own, in order", ANSWERS)


SCENARIOS = {"slow-readers": slow_readers, "one-by-one": one_by_one, "pipelined": pipelined,
        "out-of-order": out_of_order, "broken-neighbours": broken_neighbours,
             "refused-neighbours": refused_neighbours, "abandoned": abandoned}

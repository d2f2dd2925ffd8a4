"""A well-behaved client, beside those that a test is about; see test_docker_rude.py."""

import contextlib
import threading

from . import unix_http
from .waiting import wait_until

#: That must come while somebody is rude.
ANSWERS = 20


class Neighbour(threading.Thread):
    """Asks for and configures the plugin `name` all the time, on new connections and old ones, and counts the answers."""

    def __init__(self, broker, name):
        super().__init__()
        self._control, self._name, self._over = broker.control, name, threading.Event()
        self.answers, self.strange = 0, []
        self.start()

    def run(self):
        kept = unix_http.Connection(self._control, 30)
        with contextlib.closing(kept):
            while not self._over.is_set() and not self.strange:
                try:
                    replies = [unix_http.send(kept, "GET", "/plugins"),
                               unix_http.request(self._control, "GET", f"/plugins/{self._name}/json", timeout=30),
                               unix_http.request(self._control, "POST", f"/plugins/{self._name}/set", ["DEBUG=1"], timeout=30)]
                except OSError as error:
                    self.strange.append(repr(error))
                    return
                self.strange += [repr(reply) for reply in replies if reply.status not in (200, 204)]
                self.answers += len(replies)

    def goes_on(self):
        """Returns once it has been answered for a while; fails where it is not."""
        goal = self.answers + ANSWERS
        wait_until(lambda: self.answers >= goal or self.strange, lambda: f"{goal} answers: {self.answers}", 60)
        assert self.strange == []

    def stop(self):
        self._over.set()
        self.join(60)
        assert not self.is_alive() and self.strange == []

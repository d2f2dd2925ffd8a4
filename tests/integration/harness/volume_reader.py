"""A container that notices when a volume cannot be read."""

import os
import signal

from .waiting import wait_until

CONTENT = "there"  # what /v/file holds, as one line
#: Opens the file anew each time, so that no page that the kernel keeps is taken for an answer of the plugin.
SCRIPT = f"""
while :; do
  line=
  if {{ read line < /v/file; }} 2>>/record/errors && [ "$line" = {CONTENT} ]; then echo read; else echo "failed: $line"; fi >>/record/reads
  busybox sleep 0.1
done
"""


class VolumeReader:
    """Reads the volume's file up to ten times a second, in a container that runs until close(); the record of it lies in
    a directory of the host, so that it needs no engine."""

    def __init__(self, engine, volume, record):
        record.mkdir()
        self.engine, self.record = engine, record
        self.container = engine.run_detached(volume, SCRIPT, "-v", f"{record}:/record")
        self._process = None
        try:
            self.pid = engine.first_process(self.container)
            self._process = os.pidfd_open(self.pid)
            self.wait_for_reads(3)
        except BaseException:
            self.close()
            raise

    def _lines(self):
        path = self.record / "reads"
        return path.read_text().splitlines() if path.exists() else []

    def failures(self):
        return [line for line in self._lines() if line != "read"]

    def errors(self):
        """What the shell has said about them."""
        return (self.record / "errors").read_text()

    def wait_for_reads(self, count=5):
        """Until the file has been read that often from now on; fails if one failed, or hangs."""
        target = len(self._lines()) + count
        wait_until(lambda: len(self._lines()) >= target, lambda: f"{count} more reads of the volume in the container", 20)
        assert self.failures() == [], self.errors()

    def wait_for_failures(self, count=5):
        """Until reading it failed that often from now on: there is an answer, although it is no good one."""
        target = len(self.failures()) + count
        wait_until(lambda: len(self.failures()) >= target, f"{count} failed reads in the container", 20)

    def assert_running(self):
        """The engine says so, of the same process."""
        assert self.engine.first_process(self.container) == self.pid

    def close(self):
        """Removes the container, also after a test that failed in the middle."""
        try:
            if self.container is not None:
                self.engine.remove(self.container)
                self.container = None
        finally:
            if self._process is not None:
                try:
                    signal.pidfd_send_signal(self._process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                os.close(self._process)
                self._process = None

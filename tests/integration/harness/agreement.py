"""Whether what runs on the host is what the records of the managed plugins want."""

from .remains import Remains


class Agreement:
    """Of one broker, over all its processes. Call faults() before plugins are removed, too: only what was seen is known."""

    def __init__(self, broker):
        self.broker = broker
        self.remains = Remains(broker)

    def faults(self):
        """What is not as the records want it."""
        shown = self.broker.plugins()
        wanted = {plugin["Id"] for plugin in self.broker.get("/plugins", timeout=30).json() if plugin["Enabled"]}
        faults = [f"{name} is {plugin['State']}, and enabled is {plugin['Enabled']}" for name, plugin in shown.items()
                  if (plugin["State"], plugin["Pid"] > 0) != (("running", True) if plugin["Enabled"] else ("disabled", False))]
        self.remains.note()
        left = self._of(self.remains.ids - wanted)
        left += [path for path in self.remains.mounts() + self.remains.files() if not any(plugin in path for plugin in wanted)]
        faults += [f"left behind: {what}" for what in left]
        faults += [f"{plugin[:12]} has {count} shims" for plugin in wanted
                   if (count := sum("brokerd-shim" in what for what in self._of({plugin}))) != 1]
        return faults

    def _of(self, plugins):
        """Processes and control groups of these plugins."""
        these = Remains(self.broker)
        these.ids = plugins
        return these.processes() + these.groups()

"""Where brokerd does not say what dockerd says, and why: the list that DIFFERENCES.md is written from."""

import difflib
import textwrap

HEAD = """# Where brokerd answers the docker command line otherwise than dockerd

Written by `test_docker_cli.py`, which has both answer the commands of `steps.py` and fails for a difference that is not here, and
for one that is here and is none any more. Of {count} commands, {equal} are answered alike. `-` is dockerd 20.10, `+` is brokerd;
IDs, digests, times and addresses are replaced (`steps.py` says by what).
"""

LONGEST = 600  # of a line that is shown

# (title, why, steps)
REASONS = (
    ("An installation by digest ends dockerd",
     "dockerd 20.10 panics (an interface conversion in `withFetchProgress`) when a reference has a digest and no tag, and takes "
     "everything on the host with it that lives in its process. brokerd installs the image.",
     ["install-digest"]),
    ("Installing what is installed succeeds",
     "Where the name has the image already that the registry has now, nothing is to be done, and scripts that install at each boot "
     "need not tell this failure from others (daemon/README.md, \"Installing the same image again succeeds\").",
     ["install-exists"]),
    ("`set` applies all its arguments or none",
     "dockerd applies one after another and stops at the first wrong one: what came before is in force until it restarts, and "
     "was never stored.",
     ["set-one-wrong-shown"]),
    ("The same content makes a second plugin",
     "dockerd refuses to make a plugin from a rootfs that it has already, because the blob exists.",
     ["create-same-content", "rm-same-content"]),
    ("A compressed plugin can be created",
     "dockerd 20.10 does not read what its own client sends with `--compress`.",
     ["create-compressed", "rm-compressed"]),
    ("A config that cannot work is refused when the plugin is made",
     "dockerd checks nothing, and fails when the plugin is enabled, on whatever host that is: no socket, or a field that can be set "
     "but that no setting changes.",
     ["create-config-empty", "rm-empty-config", "create-more-settable", "set-several-fields", "rm-more-settable"]),
    ("No network is no privilege",
     "dockerd asks for consent to `network: [none]`, the least that a plugin can ask for. brokerd asks where a plugin wants the "
     "host's network.",
     ["install-no-network", "install-no-network-removed"]),
    ("A failed start has a reason",
     "dockerd tells that nobody listens, after twelve seconds, also where the plugin has exited at once. brokerd tells how it ended "
     "and what it said last.",
     ["enable-crash", "enable-mute", "install-crash"]),
    ("A registry's answer is told",
     "dockerd tries HTTPS and then HTTP, and tells the error of the first attempt: a missing image looks like a registry that speaks "
     "no HTTPS. brokerd tells the answer that counts.",
     ["install-no-repository", "install-no-tag", "install-unknown-digest", "upgrade-no-tag", "upgrade-no-tag-granted",
      "upgrade-no-repository"]),
    ("A registry that does not answer is tried again",
     "brokerd tries five times before it gives up, and says so; the words of dockerd are those of its HTTP library.",
     ["push-no-registry", "install-no-registry", "install-no-registry-granted", "upgrade-no-registry"]),
    ("What is no plugin is named",
     "The words of brokerd say what there is instead, and what is missing.",
     ["install-no-plugin", "create-no-rootfs"]),
    ("Who uses a plugin is named",
     "dockerd counts, brokerd knows who it is, and what to do.",
     ["disable-in-use", "rm-in-use"]),
    ("What is disabled is used by nobody",
     "After `disable --force`, dockerd's count stands at what it was, so a second `disable` is refused because of a plugin that does "
     "not run. To brokerd the plugin is disabled, and it says so.",
     ["disable-disabled-in-use"]),
    ("A push tells its digest, and what was there already",
     "dockerd says \"Upload complete\" of layers that were not uploaded, and tells the digest to programs only.",
     ["push", "push-again", "push-other-tag", "push-greedy", "push-trust-off", "push-trust"]),
    ("A plugin with two capabilities has each of them",
     "dockerd's filter drops a plugin unless all that it implements was asked for.",
     ["ls-capability-of-two"]),
    ("Capabilities are compared without case",
     "A config says `volumedriver`, the protocol `VolumeDriver`: the filter finds both.",
     ["ls-capability-case"]),
    ("brokerd writes no `DockerVersion`",
     "dockerd writes its version into the config of each plugin that it makes. brokerd is no Docker; what is in the config of a plugin "
     "made elsewhere stays.",
     ["inspect", "inspect-greedy", "inspect-json", "inspect-installed", "inspect-accepted", "inspect-format-json"]),
)


# Steps that differ with one of the two command lines only: the other one's words hide it.
ONLY = {"inspect-format-json": "newest"}


def listed(client):
    """The steps that are to differ with this command line, "debian" or "newest"."""
    return {name for _title, _why, names in REASONS for name in names if ONLY.get(name, client) == client}


def compare(docker, broker):
    """step's name -> the lines that differ; both are step's name -> harness.docker_cli.Said."""
    found = {}
    for name, said in docker.items():
        theirs, ours = said.lines(), broker[name].lines()
        lines = [line for line in difflib.unified_diff(theirs, ours, lineterm="", n=0) if not line.startswith(("---", "+++", "@@"))]
        if lines:
            found[name] = lines
    return found


def document(steps, found):
    """The text of DIFFERENCES.md; `found` is what compare() has found with Debian 12's command line."""
    commands = {step.name: step.command for step in steps}
    parts = [HEAD.format(count=len(steps), equal=len(steps) - len(found))]
    for title, why, names in REASONS:
        parts.append(f"## {title}\n\n{textwrap.fill(why, 125)}\n")
        for name in names:
            parts.append(f"`{name}`: `docker plugin {commands[name]}`\n")
            lines = "\n".join(line if len(line) <= LONGEST else line[:LONGEST] + " …" for line in found.get(name, []))
            parts.append(f"```diff\n{lines}\n```\n" if lines else "Differs with the newest command line only.\n")
    return "\n".join(parts)

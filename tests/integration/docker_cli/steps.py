"""What test_docker_cli.py has the docker command line say to dockerd and to brokerd, in this order.

In a command stand for something else:
    R         the registry (host:port), where the plugins that are named after it go
    CLOSED    an address where nothing listens
    PLUGINS   the directory with what plugins are made of, see plugins.py
    ID(NAME), PREFIX(NAME)   an installed plugin's ID, and its first twelve digits
    AMBIGUOUS                a digit that the IDs of several installed plugins begin with
    DIGEST(NAME)             of a manifest in the registry
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Step:
    name: str  # which no other has
    command: str  # what follows "docker plugin"; as a shell divides it into words
    answer: str = ""  # for standard input
    first: str = ""  # what is done before; a method of harness.docker_cli.Side, and its argument
    background: bool = False  # goes on while the next steps run: a minute of waiting is shared
    environment: tuple = ()  # (name, value)


def step(name, command, **options):
    return Step(name, command, **options)


def help_of(*commands):
    return [step(f"help-{command}", f"{command} --help") for command in commands]


USAGE = [
    step("usage", ""),
    step("help", "--help"),
    *help_of("create", "disable", "enable", "inspect", "install", "ls", "push", "rm", "set", "upgrade"),
    step("no-such-command", "frobnicate"),
    step("unknown-flag", "ls --nonsense"),
    step("create-arguments", "create one"),
    step("disable-arguments", "disable"),
    step("enable-arguments", "enable one two"),
    step("inspect-arguments", "inspect"),
    step("install-arguments", "install"),
    step("ls-arguments", "ls one"),
    step("push-arguments", "push"),
    step("rm-arguments", "rm"),
    step("set-arguments", "set one"),
    step("upgrade-arguments", "upgrade"),
    step("enable-timeout-no-number", "enable --timeout=soon one"),
    step("disable-force-no-flag", "disable --force=perhaps one"),
]

NOTHING_YET = [
    step("ls-empty", "ls"),
    step("ls-empty-quiet", "ls -q"),
    step("ls-empty-json", "ls --format '{{json .}}'"),
    step("inspect-unknown", "inspect none"),
    step("enable-unknown", "enable none"),
    step("disable-unknown", "disable none"),
    step("disable-unknown-force", "disable -f none"),
    step("rm-unknown", "rm none"),
    step("rm-unknown-force", "rm --force none"),
    step("set-unknown", "set none DEBUG=1"),
    step("push-unknown", "push R/none"),
    step("push-unknown-tag", "push R/none:tag"),
    step("upgrade-unknown", "upgrade none"),
    step("inspect-invalid-name", "inspect 'Not A Name'"),
    step("inspect-upper-case", "inspect UPPER"),
    step("enable-invalid-name", "enable 'Not A Name'"),
    step("disable-invalid-name", "disable '%%'"),
    step("rm-invalid-name", "rm 'Not A Name'"),
    step("set-invalid-name", "set 'Not A Name' A=1"),
    step("push-invalid-name", "push 'Not A Name'"),
    step("push-digest", "push R/none@sha256:" + "0" * 64),
    step("inspect-digest", "inspect R/none@sha256:" + "0" * 64),
    step("inspect-empty-name", "inspect ''"),
    step("rm-empty-name", "rm ''"),
]

CREATE = [
    step("create", "create R/one PLUGINS/one"),
    step("create-again", "create R/one PLUGINS/one"),
    step("create-tag", "create R/one:other PLUGINS/other"),
    step("create-same-content", "create same PLUGINS/one"),
    step("rm-same-content", "rm same"),
    step("create-short-name", "create short PLUGINS/short"),
    step("create-path-name", "create acme/short:1 PLUGINS/path"),
    step("create-greedy", "create R/greedy PLUGINS/greedy"),
    step("create-compressed", "create --compress compressed PLUGINS/compressed"),
    step("create-invalid-name", "create 'Not A Name' PLUGINS/one"),
    step("create-digest", "create R/one@sha256:" + "0" * 64 + " PLUGINS/one"),
    step("create-id-as-name", "create " + "ab" * 32 + " PLUGINS/one"),
    step("create-no-directory", "create broken PLUGINS/absent"),
    step("create-from-file", "create broken PLUGINS/file"),
    step("create-no-config", "create broken PLUGINS/no-config"),
    step("create-config-no-json", "create broken PLUGINS/config-no-json"),
    step("create-config-other-type", "create broken PLUGINS/config-other-type"),
    step("create-config-empty", "create empty-config PLUGINS/config-empty"),
    step("create-no-rootfs", "create broken PLUGINS/no-rootfs"),
    step("rm-empty-config", "rm empty-config"),
    step("rm-compressed", "rm compressed"),
]

LIST = [
    step("ls", "ls"),
    step("list", "list"),
    step("ls-quiet", "ls -q"),
    step("ls-quiet-long", "ls --quiet --no-trunc"),
    step("ls-no-trunc", "ls --no-trunc"),
    step("ls-names", "ls --format '{{.Name}}'"),
    step("ls-every-field", "ls --format '{{.ID}} {{.Name}} {{.Description}} {{.Enabled}} {{.PluginReference}}'"),
    step("ls-table", "ls --format 'table {{.Name}}\\t{{.Enabled}}'"),
    step("ls-json", "ls --format '{{json .}}'"),
    step("ls-format-json", "ls --format json"),
    step("ls-format-raw", "ls --format raw"),
    step("ls-quiet-format", "ls -q --format '{{.Name}}'"),
    step("ls-upper", "ls --no-trunc --format '{{upper .Name}} {{truncate .Description 3}}'"),
    step("ls-no-such-field", "ls --format '{{.Nothing}}'"),
    step("ls-no-template", "ls --format '{{'"),
    step("ls-enabled", "ls --filter enabled=true"),
    step("ls-disabled", "ls -f enabled=false -q"),
    step("ls-enabled-both", "ls -f enabled=true -f enabled=false"),
    step("ls-enabled-maybe", "ls -f enabled=maybe"),
    step("ls-capability", "ls --filter capability=volumedriver --format '{{.Name}}'"),
    step("ls-capability-other", "ls --filter capability=networkdriver"),
    step("ls-capability-two", "ls -f capability=volumedriver -f capability=authz --format '{{.Name}}'"),
    step("ls-capability-case", "ls -f capability=VolumeDriver -q"),
    step("ls-capability-of-two", "ls -f capability=volumedriver --format '{{.Name}}'", first="create twin"),
    step("ls-capability-neither", "ls -f capability=networkdriver -f capability=ipamdriver --format '{{.Name}}'"),
    step("rm-two-capabilities", "rm twin"),
    step("ls-filter-unknown", "ls --filter name=one"),
    step("ls-filter-two-unknown", "ls --filter reference=one -f enabled=true"),
    step("ls-filter-no-value", "ls --filter enabled"),
    step("ls-filter-empty", "ls --filter ''"),
]

INSPECT = [
    step("inspect", "inspect R/one"),
    step("inspect-greedy", "inspect R/greedy"),
    step("inspect-short-name", "inspect --format '{{.Name}} {{.PluginReference}}' short"),
    step("inspect-latest", "inspect --format '{{.Name}} {{.PluginReference}}' short:latest"),
    step("inspect-domain", "inspect --format '{{.Name}}' docker.io/library/short:latest"),
    step("inspect-other-tag", "inspect short:other"),
    step("inspect-id", "inspect -f '{{.Name}}' 'ID(R/one)'"),
    step("inspect-prefix", "inspect -f '{{.Name}}' 'PREFIX(R/one)'"),
    step("inspect-ambiguous", "inspect -f '{{.Name}}' AMBIGUOUS", first="make_ambiguous"),
    step("enable-ambiguous", "enable AMBIGUOUS"),
    step("rm-ambiguous", "rm -f AMBIGUOUS"),
    step("inspect-json", "inspect -f '{{json .Config}}' R/greedy"),
    step("inspect-settings", "inspect -f '{{json .Settings}}' R/greedy"),
    step("inspect-format-json", "inspect --format json short"),
    step("inspect-no-such-field", "inspect -f '{{.Nothing}}' short"),
    step("inspect-no-template", "inspect -f '{{' short"),
    step("inspect-two", "inspect -f '{{.Name}}' short R/one"),
    step("inspect-one-of-two", "inspect -f '{{.Name}}' none short"),
    step("inspect-neither", "inspect none nothing"),
    step("unambiguous", "ls --format '{{.Name}}'", first="end_ambiguous"),
]

SET = [
    step("set", "set R/one DEBUG=7"),
    step("set-shown", "inspect -f '{{json .Settings.Env}}' R/one"),
    step("set-field", "set R/one DEBUG.value=8"),
    step("set-two", "set R/one DEBUG=9 BEHAVIOUR=slow=1"),
    step("set-id", "set 'PREFIX(R/one)' DEBUG=10"),
    step("set-empty", "set R/one BEHAVIOUR="),
    step("set-equals", "set R/one DEBUG=a=b"),
    step("set-back", "set R/one DEBUG=0"),
    step("set-wrong-name", "set R/one NONE=1"),
    step("set-wrong-field", "set R/one DEBUG.nothing=1"),
    step("set-wrong-format", "set R/one =1"),
    step("set-no-value", "set R/one DEBUG"),
    step("set-restored", "set R/one DEBUG=0"),
    step("set-not-settable", "set R/one FIXED=1"),
    step("set-mount", "set R/greedy state.source=/var/tmp"),
    step("set-mount-default", "set R/greedy state=/tmp"),
    step("set-mount-field", "set R/greedy state.destination=/tmp"),
    step("set-device", "set R/greedy null.path=/dev/zero"),
    step("set-device-not-settable", "set R/greedy full.path=/dev/zero"),
    step("set-args", "set R/greedy args='a  b'"),
    step("set-args-shown", "inspect -f '{{json .Settings}}' R/greedy"),
    step("create-more-settable", "create both PLUGINS/both-settable"),
    step("set-several-fields", "set both both=/tmp"),
    step("rm-more-settable", "rm both"),
    step("set-one-wrong", "set R/one DEBUG=11 NONE=1"),
    step("set-one-wrong-shown", "inspect -f '{{json .Settings.Env}}' R/one"),
    step("set-after-wrong", "set R/one DEBUG=0"),
]

PUSH = [
    step("push", "push R/one"),
    step("push-again", "push R/one:latest"),
    step("push-other-tag", "push R/one:other"),
    step("push-greedy", "push R/greedy"),
    step("push-by-id", "push 'ID(R/one)'"),
    step("push-no-registry", "push --disable-content-trust CLOSED/unreachable", background=True,
         first="create CLOSED/unreachable unreachable"),
    step("push-trust-off", "push --disable-content-trust=true R/one"),
    step("push-trust", "push --disable-content-trust=false R/one"),
]

RUN = [
    step("enable", "enable R/one"),
    step("enable-again", "enable R/one"),
    step("enable-by-id-again", "enable 'PREFIX(R/one)'"),
    step("enable-timeout-negative", "enable --timeout -1 R/one:other"),
    step("ls-one-enabled", "ls -f enabled=true --format '{{.Name}} {{.Enabled}}'"),
    step("ls-one-disabled", "ls -f enabled=false --format '{{.Name}} {{.Enabled}}'"),
    step("ls-table-enabled", "ls"),
    step("inspect-enabled", "inspect -f '{{.Enabled}}' R/one"),
    step("set-enabled", "set R/one DEBUG=1"),
    step("upgrade-enabled", "upgrade R/one"),
    step("upgrade-enabled-granted", "upgrade --grant-all-permissions R/one R/greedy"),
    step("rm-enabled", "rm R/one"),
    step("rm-several-enabled", "rm none R/one R/nothing"),
    step("create-enabled", "create R/one PLUGINS/two"),
    step("disable-in-use", "disable R/one", first="hold R/one:latest"),
    step("rm-in-use", "rm R/one"),
    step("disable-in-use-force", "disable --force R/one"),
    step("disable-disabled-in-use", "disable R/one"),
    step("enable-timeout", "enable --timeout 10 R/one"),
    step("disable", "disable R/one:latest", first="let_go"),
    step("disable-disabled", "disable R/one"),
    step("disable-disabled-force", "disable -f R/one"),
    step("enable-by-prefix", "enable 'PREFIX(R/one)'"),
    step("disable-by-id", "disable 'ID(R/one)'"),
    step("enable-once-more", "enable R/one"),
    step("rm-force", "rm -f R/one"),
    step("rm-gone", "rm R/one"),
    step("remove-alias", "remove R/one:other R/greedy"),
    step("rm-one-of-three", "rm none short R/none"),
    step("ls-after-rm", "ls --format '{{.Name}}'"),
]

FAIL = [
    step("create-failing", "create crash PLUGINS/crash", first="create mute"),
    step("install-crash", "install --alias crashing R/one BEHAVIOUR=exit=3", background=True),
    step("enable-crash", "enable crash", first="wait_installed crashing:latest", background=True),
    step("enable-mute", "enable --timeout 3 mute", background=True),
]

INSTALL = [
    step("install-no-network", "install --disable R/no-network", answer="n\n", first="publish no-network"),
    step("install-no-network-removed", "rm R/no-network"),
    step("install", "install --disable R/one"),
    step("install-exists", "install --disable R/one"),
    step("install-exists-other-image", "install --disable --grant-all-permissions --alias R/one R/greedy"),
    step("install-alias", "install --alias second R/one"),
    step("ls-installed", "ls --filter capability=volumedriver"),
    step("inspect-installed", "inspect second"),
    step("disable-second", "disable second"),
    step("rm-second", "rm second R/one"),
    step("install-refused", "install R/greedy", answer="n\n"),
    step("install-end-of-input", "install R/greedy"),
    step("install-other-answer", "install R/greedy", answer="what\n"),
    step("install-accepted", "install --disable --alias greedy R/greedy", answer="y\n"),
    step("install-granted", "install --disable --grant-all-permissions --alias granted R/greedy:latest"),
    step("inspect-accepted", "inspect greedy"),
    step("rm-accepted", "rm greedy granted"),
    step("install-settings", "install --disable --alias set R/one DEBUG=5 BEHAVIOUR="),
    step("inspect-install-settings", "inspect -f '{{json .Settings.Env}}' set"),
    step("install-wrong-setting", "install --disable --alias wrong R/one NONE=5"),
    step("ls-after-wrong-setting", "ls --format '{{.Name}} {{.Enabled}}'"),
    step("install-enabled-setting", "install --alias running R/one DEBUG=3"),
    step("rm-running", "rm --force running set"),
    step("install-no-repository", "install R/absent"),
    step("install-no-tag", "install R/one:absent"),
    step("install-invalid-name", "install 'Not A Name'"),
    step("install-invalid-alias", "install --alias 'Not A Name' R/one"),
    step("install-digest-alias", "install --alias R/one@sha256:" + "0" * 64 + " R/one"),
    step("install-unknown-digest", "install R/one@sha256:" + "0" * 64),
    step("install-no-registry", "install CLOSED/one", background=True),
    step("install-no-registry-granted", "install --grant-all-permissions CLOSED/two", background=True),
    step("install-no-plugin", "install --grant-all-permissions R/image", first="push_image image"),
    step("install-trust", "install --disable-content-trust=false R/one"),
    step("install-trust-environment", "install R/one", environment=(("DOCKER_CONTENT_TRUST", "1"),)),
]

UPGRADE = [
    step("upgrade-prepared", "install --disable --alias up R/one DEBUG=5", first="publish two"),
    step("upgrade-same", "upgrade up"),
    step("upgrade-other-refused", "upgrade up R/two", answer="n\n"),
    step("upgrade-other-end-of-input", "upgrade up R/two"),
    step("upgrade-privileges-refused", "upgrade --skip-remote-check up R/two", answer="n\n"),
    step("upgrade-no-tag", "upgrade --skip-remote-check up R/one:absent"),
    step("upgrade-no-tag-granted", "upgrade --skip-remote-check --grant-all-permissions up R/one:absent"),
    step("upgrade-no-repository", "upgrade --skip-remote-check up R/absent"),
    step("upgrade-no-registry", "upgrade --skip-remote-check --grant-all-permissions acme/short:1 CLOSED/three", background=True),
    step("upgrade-invalid-name", "upgrade up 'Not A Name'"),
    step("upgrade-unchanged", "inspect -f '{{.Config.Description}} {{.PluginReference}} {{json .Settings.Env}}' up"),
    step("upgrade-accepted", "upgrade --grant-all-permissions up R/two", answer="y\n"),
    step("upgrade-shown", "inspect -f '{{.Config.Description}} {{.PluginReference}} {{.Name}}' up"),
    step("upgrade-settings", "inspect -f '{{json .Settings.Env}}' up"),
    step("upgrade-back", "upgrade --skip-remote-check --grant-all-permissions up R/one"),
    step("upgrade-privileges-accepted", "upgrade --skip-remote-check up R/two", answer="y\n"),
    step("upgrade-trust", "upgrade --disable-content-trust=false --grant-all-permissions up"),
    step("upgrade-enabled-again", "enable up"),
    step("upgrade-running", "upgrade up"),
    step("upgrade-forced-away", "rm -f up"),
]

LAST = [
    step("ls-at-the-end", "ls --format '{{.Name}} {{.Description}} {{.Enabled}}'", first="finish_background"),
    step("rm-all", "rm -f crash mute crashing acme/short:1 wrong CLOSED/unreachable"),
    step("install-digest", "install --disable R/one@DIGEST(R/one)"),  # the last one: dockerd does not outlive it
]

STEPS = [*USAGE, *NOTHING_YET, *CREATE, *LIST, *INSPECT, *SET, *PUSH, *RUN, *FAIL, *INSTALL, *UPGRADE, *LAST]

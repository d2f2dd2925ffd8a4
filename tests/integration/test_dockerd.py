"""An unmodified Docker engine uses plugins that are only reachable through brokerd.

brokerd reads its definitions from a directory that Docker does not know, so the engine has no other way to them.
"""

from harness import engines, isolation


def use_a_volume(engine, driver, options=(), name="vol"):
    engine.create_volume(driver, name, options)
    assert name in engine.volumes()
    assert engine.run(name, "echo from the container > /v/file; cat /v/file") == "from the container\n"
    assert engine.run(name, "cat /v/file") == "from the container\n"


def test_rclone_on_tcp_with_dockerd_started_after_brokerd(engine_broker, dockerd, rclone):
    plugin = rclone()
    broker = engine_broker()
    broker.define("cloud", plugin.url)
    broker.start()
    engine = dockerd()
    use_a_volume(engine, "cloud", plugin.options)
    assert (plugin.remote / "file").read_text() == "from the container\n"
    engine.remove_volume("vol")
    assert engine.volumes() == []


def test_rclone_on_tcp_with_dockerd_started_before_brokerd(engine_broker, dockerd, rclone):
    engine = dockerd()
    plugin = rclone()
    broker = engine_broker().start()
    broker.define("cloud", plugin.url)
    broker.wait_state("cloud", "active")
    use_a_volume(engine, "cloud", plugin.options)
    assert (plugin.remote / "file").read_text() == "from the container\n"
    engine.remove_volume("vol")
    assert engine.volumes() == []


def test_rclone_moves_to_another_port_while_dockerd_runs(engine_broker, dockerd, rclone):
    plugin = rclone()
    broker = engine_broker()
    broker.define("cloud", plugin.url)
    broker.start()
    engine = dockerd()
    use_a_volume(engine, "cloud", plugin.options)
    before = plugin.url
    plugin.stop()
    plugin.start()
    assert plugin.url != before
    broker.define("cloud", plugin.url)
    broker.wait_state("cloud", "active")
    assert engine.run("vol", "cat /v/file") == "from the container\n"
    engine.create_volume("cloud", "another", plugin.options)
    assert sorted(engine.volumes()) == ["another", "vol"]
    engine.remove_volume("another")
    engine.remove_volume("vol")
    assert engine.volumes() == []


def test_docker_finds_the_same_plugins_with_the_default_directories(engine_broker, dockerd, mobyfs):
    """As on a real host: the spec is in Docker's own directory too, and the engine still takes the published socket."""
    plugin = mobyfs()
    broker = engine_broker(specs=[isolation.ENGINE_SPECS])
    broker.define("mobyfs", plugin.url)
    broker.start()
    engine = dockerd()
    use_a_volume(engine, "mobyfs")
    plugin.stop()
    plugin.url = plugin.url.rpartition(":")[0] + ":0"
    plugin.start()
    broker.define("mobyfs", plugin.process.output().split("listening on ")[-1].strip())
    broker.wait_state("mobyfs", "active")
    assert engine.run("vol", "cat /v/file") == "from the container\n"
    engine.remove_volume("vol")


def test_a_plugin_over_tls_with_client_certificates(engine_broker, dockerd, mobyfs, certificates):
    plugin = mobyfs(tls_cert=certificates / "server.pem", tls_key=certificates / "server.key", client_ca=certificates / "ca.pem")
    broker = engine_broker()
    broker.define_json("secure", plugin.url, {
        "CAFile": certificates / "ca.pem", "CertFile": certificates / "client.pem", "KeyFile": certificates / "client.key"})
    broker.start()
    engine = dockerd()
    use_a_volume(engine, "secure")
    assert (plugin.root / "vol" / "file").read_text() == "from the container\n"
    engine.remove_volume("vol")
    assert engine.volumes() == []
    assert broker.plugin("secure")["TLS"] == {"Verify": "CAFile", "ClientCertificate": True}


def test_a_name_with_a_slash(engine_broker, dockerd, mobyfs):
    plugin = mobyfs()
    broker = engine_broker()
    broker.define("vieux/mobyfs", plugin.url)
    broker.start()
    engine = dockerd()
    use_a_volume(engine, "vieux/mobyfs")
    engine.remove_volume("vol")


def test_an_authorization_plugin_guards_the_engine(engine_broker, dockerd, mobyfs):
    plugin = mobyfs(implements="authz", deny_uri="/volumes/create")
    broker = engine_broker()
    broker.define("guard", plugin.url)
    broker.start()
    engine = dockerd("--authorization-plugin=guard")
    assert engine.docker("run", "--rm", "--network", "none", engines.IMAGE, "/bin/echo", "hello").stdout == "hello\n"
    refused = engine.docker("volume", "create", "forbidden", check=False)
    assert refused.returncode != 0
    assert "mobyfs denies /volumes/create" in refused.stderr
    asked = plugin.calls("AuthZPlugin.AuthZReq")
    answered = plugin.calls("AuthZPlugin.AuthZRes")
    assert any("/containers/create" in call["Body"] for call in asked)
    assert len(asked) > len(answered) > 0


def test_a_network_driver(engine_broker, dockerd, mobyfs):
    plugin = mobyfs(implements="NetworkDriver")
    broker = engine_broker()
    broker.define("wires", plugin.url)
    broker.start()
    engine = dockerd()
    engine.docker("network", "create", "-d", "wires", "net1")
    assert "wires" in engine.docker("network", "ls", "--format", "{{.Driver}}").stdout
    interfaces = engine.docker("run", "--rm", "--network", "net1", engines.IMAGE, "/bin/ls", "/sys/class/net").stdout.split()
    assert interfaces == ["lo"]
    engine.docker("network", "rm", "net1")
    methods = [call["Method"].removeprefix("NetworkDriver.") for call in plugin.calls() if "NetworkDriver" in call["Method"]]
    for method in ("GetCapabilities", "CreateNetwork", "CreateEndpoint", "Join", "Leave", "DeleteEndpoint", "DeleteNetwork"):
        assert methods.count(method) == 1, (method, methods)


def test_a_call_that_dies_with_the_plugin_is_not_repeated_by_the_engine(engine_broker, dockerd, mobyfs):
    plugin = mobyfs(crash_on="VolumeDriver.Create")
    broker = engine_broker()
    broker.define("fragile", plugin.url)
    broker.start()
    engine = dockerd()
    failed = engine.docker("volume", "create", "-d", "fragile", "vol", check=False)
    assert failed.returncode != 0
    assert "fragile" in failed.stderr
    assert len(plugin.calls("VolumeDriver.Create")) == 1
    plugin.start()
    broker.wait_state("fragile", "active")
    use_a_volume(engine, "fragile")
    engine.remove_volume("vol")


def test_volumes_stay_usable_when_brokerd_is_killed_and_started_again(engine_broker, dockerd, rclone):
    plugin = rclone()
    broker = engine_broker()
    broker.define("cloud", plugin.url)
    broker.start()
    engine = dockerd()
    use_a_volume(engine, "cloud", plugin.options)
    broker.kill()
    broker.start()
    assert engine.run("vol", "cat /v/file") == "from the container\n"
    engine.remove_volume("vol")
    assert engine.volumes() == []

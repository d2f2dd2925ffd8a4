"""Podman, whose volume plugins are Unix sockets and nothing else, uses plugins behind brokerd."""


def use_a_volume(engine, driver, options=()):
    engine.create_volume(driver, "vol", options)
    assert "vol" in engine.volumes()
    assert engine.run("vol", "echo from the container > /v/file; cat /v/file") == "from the container\n"
    assert engine.run("vol", "cat /v/file") == "from the container\n"


def test_rclone_on_tcp(broker, podman, rclone):
    plugin = rclone()
    broker = broker().start()
    broker.define("cloud", plugin.url)
    broker.wait_published("cloud")
    engine = podman({"cloud": broker.published("cloud")})
    use_a_volume(engine, "cloud", plugin.options)
    assert (plugin.remote / "file").read_text() == "from the container\n"
    plugin.stop()
    plugin.start()
    broker.define("cloud", plugin.url)
    broker.wait_state("cloud", "active")
    assert engine.run("vol", "cat /v/file") == "from the container\n"
    engine.remove_volume("vol")
    assert engine.volumes() == []


def test_a_plugin_over_tls_with_client_certificates(broker, podman, mobyfs, certificates):
    plugin = mobyfs(tls_cert=certificates / "server.pem", tls_key=certificates / "server.key", client_ca=certificates / "ca.pem")
    broker = broker()
    broker.define_json("secure", plugin.url, {
        "CAFile": certificates / "ca.pem", "CertFile": certificates / "client.pem", "KeyFile": certificates / "client.key"})
    broker.start()
    engine = podman({"secure": broker.engine_socket("secure")})
    use_a_volume(engine, "secure")
    assert (plugin.root / "vol" / "file").read_text() == "from the container\n"
    engine.remove_volume("vol")


def test_podman_first_then_the_plugin(broker, podman, mobyfs):
    """Podman itself does not wait for a plugin; the published socket does it for it."""
    plugin = mobyfs(late=3, wait=False)
    broker = broker(timeout=20)
    broker.define("late", plugin.url)
    broker.start()
    engine = podman({"late": broker.published("late")})
    use_a_volume(engine, "late")
    engine.remove_volume("vol")
    assert len(plugin.calls("VolumeDriver.Create")) == 1

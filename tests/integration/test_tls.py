"""TLS to plugins: what is right works, and each thing that is wrong is told apart."""

import pytest


def client_tls(certificates, **changes):
    tls = {"CAFile": certificates / "ca.pem", "CertFile": certificates / "client.pem", "KeyFile": certificates / "client.key", **changes}
    return {key: value for key, value in tls.items() if value is not None}


def server_tls(certificates, name="server", **changes):
    tls = {"tls_cert": certificates / f"{name}.pem", "tls_key": certificates / f"{name}.key", "client_ca": certificates / "ca.pem", **changes}
    return {key: value for key, value in tls.items() if value is not None}


@pytest.mark.parametrize("scheme", ["tcp", "https"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_mutual_tls(broker, mobyfs, certificates, scheme, host):
    plugin = mobyfs(**server_tls(certificates))
    broker = broker()
    broker.define_json("secure", f"{scheme}://{host}:{plugin.url.rpartition(':')[2]}", client_tls(certificates))
    broker.start()
    view = broker.wait_state("secure", "active")
    assert view["Implements"] == ["VolumeDriver"]
    assert view["TLS"] == {"Verify": "CAFile", "ClientCertificate": True}
    assert broker.call("secure", "VolumeDriver.Create", {"Name": "vol"}).json() == {"Err": ""}
    assert broker.call("secure", "VolumeDriver.List").json()["Volumes"][0]["Name"] == "vol"
    assert broker.findings("secure") == []


def test_connections_are_kept_alive_over_tls(broker, mobyfs, certificates):
    plugin = mobyfs(**server_tls(certificates))
    broker = broker()
    broker.define_json("secure", plugin.url, client_tls(certificates))
    broker.start()
    broker.wait_state("secure", "active")
    for _ in range(20):
        assert broker.call("secure", "VolumeDriver.List").status == 200
    assert len({call["Connection"] for call in plugin.calls("VolumeDriver.List")}) == 1


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_tls_versions_that_are_good(broker, mobyfs, certificates, version):
    plugin = mobyfs(**server_tls(certificates, tls_version=version))
    broker = broker()
    broker.define_json("secure", plugin.url, client_tls(certificates))
    broker.start()
    broker.wait_state("secure", "active")
    assert broker.call("secure", "VolumeDriver.List").status == 200


# What is wrong -> the server's switches, the client's settings, words of which one must be in the reason, and whether
# the doctor calls it a matter of certificates.
REFUSALS = {
    "wrong-ca": ({"name": "other-server"}, {}, ("trust", "issuer", "authority", "CAFile"), True),
    "wrong-host-name": ({"name": "wrong-host"}, {}, ("host", "name"), True),
    "expired": ({"name": "expired"}, {}, ("expired",), True),
    "no-client-certificate": ({}, {"CertFile": None, "KeyFile": None}, ("client certificate",), True),
    "wrong-client-ca": ({}, {"CertFile": "other-client.pem", "KeyFile": "other-client.key"}, ("client certificate", "our certificate"), True),
    "plaintext-server": (None, {}, ("plain", "not TLS", "no TLS", "does not speak TLS"), False),
    "tls-1.1": ({"tls_version": "1.1"}, {}, ("1.2", "version", "too old"), False),
}


@pytest.mark.parametrize("problem", REFUSALS)
def test_what_is_wrong_is_refused_with_its_own_reason(broker, mobyfs, certificates, problem):
    server, client, words, is_certificate = REFUSALS[problem]
    client = {key: value if value is None else certificates / value for key, value in client.items()}
    plugin = mobyfs(**server_tls(certificates, **server)) if server is not None else mobyfs()
    broker = broker(timeout=2)
    broker.define_json("secure", plugin.url, client_tls(certificates, **client))
    broker.start()
    view = broker.wait_state("secure", "failed", 15)
    assert any(word.lower() in view["Reason"].lower() for word in words), view["Reason"]
    findings = broker.findings("secure")
    assert len(findings) == 1, findings
    assert findings[0]["Severity"] == "error"
    assert findings[0]["Remedy"]
    if is_certificate:
        assert findings[0]["Problem"] == "certificate"
    assert any(word.lower() in (findings[0]["Cause"] + findings[0]["Remedy"]).lower() for word in words), findings
    refused = broker.call("secure", "VolumeDriver.List")
    assert refused.status in (502, 503, 504)
    assert "secure" in refused.error
    assert any(word.lower() in refused.error.lower() for word in words), refused.error
    assert plugin.calls() == [] or problem == "plaintext-server"


def test_the_reasons_differ(broker, mobyfs, certificates):
    broker = broker(timeout=2)
    for problem, (server, client, _words, _kind) in REFUSALS.items():
        client = {key: value if value is None else certificates / value for key, value in client.items()}
        plugin = mobyfs(name=problem, **(server_tls(certificates, **server) if server is not None else {}))
        broker.define_json(problem, plugin.url, client_tls(certificates, **client))
    broker.start()
    reasons = {}
    for problem in REFUSALS:
        view = broker.wait_state(problem, "failed", 15)
        reasons[problem] = view["Reason"].replace(problem, "").replace(view["Endpoint"].rpartition(":")[2], "")
    assert len(set(reasons.values())) == len(reasons), reasons


def test_a_tls_config_without_ca_file_still_verifies(broker, mobyfs, certificates):
    """Docker silently verifies nothing here."""
    plugin = mobyfs(**server_tls(certificates, client_ca=None))
    broker = broker(timeout=2)
    broker.define_json("secure", plugin.url, {"InsecureSkipVerify": False})
    broker.start()
    assert broker.wait_state("secure", "failed", 15)["TLS"]["Verify"] == "system"


def test_insecure_skip_verify_is_obeyed_and_told(broker, mobyfs, certificates):
    plugin = mobyfs(**server_tls(certificates, name="other-server", client_ca=None))
    broker = broker()
    broker.define_json("secure", plugin.url, {"InsecureSkipVerify": True})
    broker.start()
    assert broker.wait_state("secure", "active")["TLS"]["Verify"] == "none"
    assert broker.call("secure", "VolumeDriver.List").status == 200


def test_a_repaired_certificate_is_noticed(broker, mobyfs, certificates):
    plugin = mobyfs(**server_tls(certificates, name="expired"))
    broker = broker(timeout=2)
    broker.define_json("secure", plugin.url, client_tls(certificates))
    broker.start()
    broker.wait_state("secure", "failed", 15)
    plugin.stop()
    plugin.start(**server_tls(certificates))
    broker.wait_state("secure", "active", 30)
    assert broker.call("secure", "VolumeDriver.List").status == 200

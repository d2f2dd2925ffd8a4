"""The list of what the programs are made of (packaging/sbom) against what they load and what the compiler has read."""

import json
import os
import re
import subprocess

import pytest
from inside import BUILD, ROOT

PATIENCE = 600  # a second or two on a machine of one's own
PROGRAMS = ("sbin/brokerd", "bin/pluginctl", "libexec/brokerd/brokerd-shim")
SPDX_PACKAGE = {"SPDXID", "name", "versionInfo", "downloadLocation", "filesAnalyzed", "licenseConcluded", "licenseDeclared", "copyrightText"}


def text_of(*command):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def written(**environment):
    done = subprocess.run([ROOT / "packaging/sbom", "--build", BUILD], capture_output=True, text=True, timeout=PATIENCE,
                          env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def text():
    return written(PYTHONHASHSEED="1")


@pytest.fixture(scope="module")
def sbom(text):
    return json.loads(text)


def related(sbom, kind):
    """The other packages of all relationships of a kind."""
    own = next(entry["relatedSpdxElement"] for entry in sbom["relationships"] if entry["relationshipType"] == "DESCRIBES")
    names = {package["SPDXID"]: package["name"] for package in sbom["packages"]}
    found = [entry for entry in sbom["relationships"] if entry["relationshipType"] == kind]
    return {names[entry["spdxElementId"] if entry["relatedSpdxElement"] == own else entry["relatedSpdxElement"]] for entry in found}


def test_every_library_is_there_with_its_package(sbom, installed):
    """As the dynamic linker finds them, and as dpkg says whose they are."""
    told = {tuple(re.fullmatch(r"(\S+): (\S+), (linked|loaded by a library)", entry["comment"]).groups())
            for entry in sbom["relationships"] if entry["relationshipType"] == "DYNAMIC_LINK"}
    expected, paths = set(), set()
    for program in PROGRAMS:
        needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", text_of("readelf", "--wide", "--dynamic", installed / program)))
        for name, path in re.findall(r"(?m)^\s+(?:(?:\S*/)?([^/\s]+) => )?(/\S+) \(", text_of("ldd", installed / program)):
            name = name or os.path.basename(path)
            expected.add((f"/usr/{program}", name, "linked" if name in needed else "loaded by a library"))
            paths.add(os.path.realpath(path))
        assert needed <= {name for _program, name, _how in expected}
    assert told == expected
    # Packages have one of these names of a file, whether /lib is a link to /usr/lib or not; of the other dpkg knows nothing.
    names = {name for path in paths for name in (path, path.removeprefix("/usr"))}
    searched = subprocess.run(["dpkg-query", "--search", *sorted(names)], capture_output=True, text=True, timeout=PATIENCE).stdout
    assert related(sbom, "DYNAMIC_LINK") == {line.partition(":")[0] for line in searched.splitlines()}


def test_what_is_headers_alone_is_there(sbom):
    included = related(sbom, "STATIC_LINK")
    assert {"libcli11-dev", "rapidjson-dev", "libboost1.74-dev"} <= included
    assert related(sbom, "BUILD_DEPENDENCY_OF") >= included | {"libfmt-dev", "libcpp-httplib-dev", "libssl-dev", "libarchive-dev", "libsystemd-dev"}
    assert not {"libfmt-dev", "libssl-dev"} & included, "a library that is linked is not compiled in"
    assert "catch2" not in {package["name"] for package in sbom["packages"]}, "the tests are not installed"
    assert related(sbom, "BUILD_TOOL_OF") == {"g++-12"}


def test_versions_and_sources_are_dpkgs(sbom):
    for package in sbom["packages"]:
        assert SPDX_PACKAGE <= set(package), package
        if package["name"] != "brokerd":
            version, source = text_of("dpkg-query", "-W", "-f=${Version} ${source:Package}", package["name"]).split()
            assert package["versionInfo"] == version and package["sourceInfo"].split()[3] == source
            assert package["externalRefs"][0]["referenceLocator"].startswith(f"pkg:deb/debian/{package['name']}@{version}?")
    names = {package["name"]: package for package in sbom["packages"]}
    assert names["libcli11-dev"]["licenseDeclared"] == "BSD-3-Clause" and names["brokerd"]["licenseDeclared"] == "Apache-2.0"


def test_is_a_whole_spdx_document(sbom):
    assert (sbom["spdxVersion"], sbom["dataLicense"], sbom["SPDXID"]) == ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT")
    assert sbom["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
    ids = [package["SPDXID"] for package in sbom["packages"]]
    assert len(ids) == len(set(ids)) and all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", name) for name in ids)
    for entry in sbom["relationships"]:
        assert {entry["spdxElementId"], entry["relatedSpdxElement"]} <= {*ids, "SPDXRef-DOCUMENT"}


def test_is_the_same_each_time(text):
    assert written(TZ="Pacific/Kiritimati", LC_ALL="C.UTF-8", PYTHONHASHSEED="2") == text

#include "common/capability.h"

#include <catch2/catch.hpp>

using namespace brokerd;

TEST_CASE("a method asks for the capability before its dot", "[common]") {
    CHECK(capability_of_method("VolumeDriver.Create") == "VolumeDriver");
    CHECK(capability_of_method("NetworkDriver.Join") == "NetworkDriver");
}

TEST_CASE("authorization calls ask for authz", "[common]") {
    CHECK(capability_of_method("AuthZPlugin.AuthZReq") == "authz");
}

TEST_CASE("what is not Capability.Method asks for nothing that could be granted", "[common]") {
    for (const char* method : {"", ".", "VolumeDriver", "VolumeDriver.", ".Create", "a/VolumeDriver.Create",
                               "VolumeDriver.Create/x", "VolumeDriver.Create?x",
                               "VolumeDriver.x%2f..%2fNetworkDriver.Join", "VolumeDriver.x\\..", "VolumeDriver.x;"}) {
        CHECK(capability_of_method(method).empty());
    }
}

TEST_CASE("Docker's capabilities are known, others are not", "[common]") {
    for (const char* name :
         {"VolumeDriver", "NetworkDriver", "IpamDriver", "authz", "LogDriver", "GraphDriver", "MetricsCollector"}) {
        CHECK(is_known_capability(name));
    }
    for (const char* name : {"", "volumedriver", "AuthZPlugin", "Plugin"}) CHECK_FALSE(is_known_capability(name));
}

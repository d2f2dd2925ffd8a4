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

TEST_CASE("interface types mean the capabilities that engines know, in any case", "[common]") {
    CHECK(capability_of_type("volumedriver") == "VolumeDriver");
    CHECK(capability_of_type("VolumeDriver") == "VolumeDriver");
    CHECK(capability_of_type("NETWORKDRIVER") == "NetworkDriver");
    CHECK(capability_of_type("ipamdriver") == "IpamDriver");
    CHECK(capability_of_type("logdriver") == "LogDriver");
    CHECK(capability_of_type("metricscollector") == "MetricsCollector");
    CHECK(capability_of_type("AuthZ") == "authz");
}

TEST_CASE("an interface type that nobody knows is what it is", "[common]") {
    for (const char* type : {"", "unheard", "volumedrive", "volumedrivers", "Unheard"}) {
        CHECK(capability_of_type(type) == type);
    }
}

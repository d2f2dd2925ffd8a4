#include "daemon/proxy/path_rewrite.h"

#include <catch2/catch.hpp>

using namespace brokerd;

namespace {

const PathRewrite kPaths{"/mnt/volumes", "/state/pm", "/state/rootfs"};

std::string rewritten(std::string_view body) {
    const auto result = rewrite_mountpoints(kPaths, body);
    REQUIRE(result);
    return *result;
}

std::string refused(std::string_view body) {
    const auto result = rewrite_mountpoints(kPaths, body);
    REQUIRE_FALSE(result);
    return result.error().message;
}

}  // namespace

TEST_CASE("a path at or below the propagated mount is there on the host, any other in the rootfs", "[proxy]") {
    CHECK(kPaths.to_host("/mnt/volumes") == "/state/pm");
    CHECK(kPaths.to_host("/mnt/volumes/") == "/state/pm");
    CHECK(kPaths.to_host("/mnt/volumes/a/b") == "/state/pm/a/b");
    CHECK(kPaths.to_host("//mnt/./volumes//a/") == "/state/pm/a");
    CHECK(kPaths.to_host("/mnt/volumes2/a") == "/state/rootfs/mnt/volumes2/a");
    CHECK(kPaths.to_host("/mnt") == "/state/rootfs/mnt");
    CHECK(kPaths.to_host("/") == "/state/rootfs");
    CHECK(kPaths.to_host("data/a") == "/state/rootfs/data/a");  // as Docker's engine joins it
}

TEST_CASE("no path leaves what is the plugin's", "[proxy]") {
    CHECK(kPaths.to_host("/mnt/volumes/../../etc") == "/state/rootfs/etc");
    CHECK(kPaths.to_host("/mnt/volumes/a/../../volumes/b") == "/state/pm/b");
    CHECK(kPaths.to_host("/../../../etc/shadow") == "/state/rootfs/etc/shadow");
    CHECK(kPaths.to_host("../../etc") == "/state/rootfs/etc");
    CHECK(kPaths.to_host("..") == "/state/rootfs");
    CHECK(kPaths.to_host("/mnt/volumes/..") == "/state/rootfs/mnt");
    CHECK(kPaths.to_host("/mnt/volumes/...") == "/state/pm/...");
}

TEST_CASE("a plugin without propagated mount tells paths of its rootfs", "[proxy]") {
    const PathRewrite paths{"", "", "/state/rootfs"};
    CHECK(paths.to_host("/mnt/volumes/a") == "/state/rootfs/mnt/volumes/a");
    const PathRewrite unclean{"/mnt//volumes/", "/state/pm", "/state/rootfs"};
    CHECK(unclean.to_host("/mnt/volumes/a") == "/state/pm/a");
}

TEST_CASE("paths stand in four of the methods' answers", "[proxy]") {
    for (const char* path : {"/VolumeDriver.Mount", "/VolumeDriver.Path", "/VolumeDriver.Get", "/VolumeDriver.List"})
        CHECK(answer_tells_paths(path));
    for (const char* path : {"/VolumeDriver.Create", "/VolumeDriver.Unmount", "/VolumeDriver.mount", "/VolumeDriver.",
                             "/VolumeDriver.MountX", "/NetworkDriver.Mount", ""})
        CHECK_FALSE(answer_tells_paths(path));
}

TEST_CASE("Mountpoints are rewritten at the top, in Volume and in each of Volumes", "[proxy]") {
    CHECK(rewritten(R"({"Mountpoint": "/mnt/volumes/a", "Err": ""})") == R"({"Mountpoint":"/state/pm/a","Err":""})");
    CHECK(rewritten(R"({"Volume":{"Name":"a","Mountpoint":"/mnt/volumes/a"}})") ==
          R"({"Volume":{"Name":"a","Mountpoint":"/state/pm/a"}})");
    CHECK(rewritten(R"({"Volumes":[{"Mountpoint":"/a"},null,{"Mountpoint":""},{"Mountpoint":null},{}]})") ==
          R"({"Volumes":[{"Mountpoint":"/state/rootfs/a"},null,{"Mountpoint":""},{"Mountpoint":null},{}]})");
    CHECK(rewritten(R"({"Volumes":null,"Volume":null})") == R"({"Volumes":null,"Volume":null})");
}

TEST_CASE("a member's name is compared as Go's decoder does", "[proxy]") {
    CHECK(rewritten(R"({"mountPOINT":"/a"})") == R"({"mountPOINT":"/state/rootfs/a"})");
    CHECK(rewritten("{\"Volume\xC5\xBF\":[{\"Mountpoint\":\"/a\"}]}") ==
          "{\"Volume\xC5\xBF\":[{\"Mountpoint\":\"/state/rootfs/a\"}]}");
    CHECK(rewritten(R"({"\u004dountpoint":"/a"})") == R"({"Mountpoint":"/state/rootfs/a"})");
    CHECK(rewritten(R"({"Mountpoint":"/a","Mountpoint":"/b","MOUNTPOINT":"/c"})") ==
          R"({"Mountpoint":"/state/rootfs/a","Mountpoint":"/state/rootfs/b","MOUNTPOINT":"/state/rootfs/c"})");
    CHECK(rewritten(R"({"Volume":{"Mountpoint":"/a"},"volume":{"Mountpoint":"/b"}})") ==
          R"({"Volume":{"Mountpoint":"/state/rootfs/a"},"volume":{"Mountpoint":"/state/rootfs/b"}})");
}

TEST_CASE("all else in an answer stays as it is", "[proxy]") {
    const std::string status =
        R"({"Volume":{"Status":{"Mountpoint":"/a","n":1.0,"big":123456789012345678901234567890,"e":-1E+2,)"
        R"("list":[{"Mountpoint":"/b"}],"t":true},"Name":"Grüße"},"Other":{"Mountpoint":"/c"},)"
        R"("List":[[{"Mountpoint":"/d"}]]})";
    CHECK(rewritten(status) == status);
    // Volume is an object and Volumes a list: what stands there instead is nothing that the engine reads.
    CHECK(rewritten(R"({"Volume":[{"Mountpoint":"/a"}]})") == R"({"Volume":[{"Mountpoint":"/a"}]})");
    CHECK(rewritten(R"({"Volume":{"Volume":{"Mountpoint":"/a"}}})") == R"({"Volume":{"Volume":{"Mountpoint":"/a"}}})");
}

TEST_CASE("what cannot be understood is never handed on", "[proxy]") {
    CHECK(refused("").find("not valid JSON") != std::string::npos);
    CHECK(refused("hello").find("not valid JSON") != std::string::npos);
    CHECK(refused(R"({"Mountpoint":"/a")").find("not valid JSON") != std::string::npos);
    CHECK(refused(R"({"Mountpoint":"/a"} {"Mountpoint":"/b"})").find("not valid JSON") != std::string::npos);
    CHECK(refused("{\"Mountpoint\":\"/a\xff\"}").find("not valid JSON") != std::string::npos);
    CHECK(refused({"{\"Mountpoint\":\"/a\"}\0{}", 22}).find("not valid JSON") != std::string::npos);
    CHECK(refused("\xef\xbb\xbf{}").find("not valid JSON") != std::string::npos);
    CHECK(refused("[]") == "it is no JSON object");
    CHECK(refused("\"/etc\"") == "it is no JSON object");
    CHECK(refused("null") == "it is no JSON object");
    CHECK(refused(R"({"Mountpoint":1})") == "a Mountpoint in it is no text");
    CHECK(refused(R"({"Volume":{"Mountpoint":["/a"]}})") == "a Mountpoint in it is no text");
    CHECK(refused(R"({"Volume":{"Mountpoint":{"a":"/a"}}})") == "a Mountpoint in it is no text");
    CHECK(refused(R"({"Mountpoint":"/a\u0000b"})") == "a Mountpoint in it contains a zero byte");
}

TEST_CASE("nesting does not exhaust the stack", "[proxy]") {
    constexpr std::size_t kDepth = 1'000'000;
    const std::string deep = "{\"a\":" + std::string(kDepth, '[') + std::string(kDepth, ']') + "}";
    CHECK(rewritten(deep) == deep);
}

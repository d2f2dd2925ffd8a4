#include "tests/unit/proxy/proxy_fixture.h"

using namespace brokerd;
using test::Peer;

namespace {

struct ManagedFixture : test::ProxyFixture {
    ManagedFixture()
        : ProxyFixture{std::make_shared<const PathRewrite>(PathRewrite{"/mnt", "/state/pm", "/state/rootfs"})} {}
    /// Sends a request, and takes it as the plugin.
    void call(std::string_view method, std::string_view more = "") {
        REQUIRE(client.send(request(method, more)));
        if (!at_plugin) at_plugin.emplace(Peer::accept(plugin));
        head = at_plugin->read_until("\r\n\r\n");
        REQUIRE(at_plugin->read(2) == "{}");
    }

    Peer client = Peer::connect(published);
    std::optional<Peer> at_plugin;
    std::string head;
};

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

constexpr std::string_view kTold = R"({"Mountpoint":"/mnt/a"})";
constexpr std::string_view kMeant = R"({"Mountpoint":"/state/pm/a"})";

}  // namespace

TEST_CASE_METHOD(ManagedFixture, "an answer that tells paths is rewritten, whatever its framing", "[proxy]") {
    for (int turn = 0; turn < 2; ++turn) {
        call("Mount");
        REQUIRE(at_plugin->send(answer(kTold, "X-More: yes\r\n")));
        const std::string head_seen = client.read_until("\r\n\r\n");
        CHECK(contains(head_seen, "HTTP/1.1 200 OK\r\n"));
        CHECK(contains(head_seen, "X-More: yes\r\n"));
        CHECK(contains(head_seen, "Content-Length: " + std::to_string(kMeant.size()) + "\r\n"));
        CHECK(client.read(kMeant.size()) == kMeant);
    }
    call("Path");
    REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"Mountpoint\":\"/"));
    REQUIRE(at_plugin->send("\r\n7\r\nmnt/a\"}\r\n0\r\n\r\n"));
    const std::string head_seen = client.read_until("\r\n\r\n");
    CHECK_FALSE(contains(head_seen, "chunked"));
    CHECK(contains(head_seen, "Content-Length: " + std::to_string(kMeant.size()) + "\r\n"));
    CHECK(client.read(kMeant.size()) == kMeant);
    call("Get");
    REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\n\r\n" + std::string{kTold}));
    at_plugin->close();
    CHECK(contains(client.read_until("\r\n\r\n"), "Content-Length: "));
    CHECK(client.read(kMeant.size()) == kMeant);
}

TEST_CASE_METHOD(ManagedFixture, "the plugin is not asked for a compressed answer where it must be read", "[proxy]") {
    call("Mount", "accept-encoding: gzip\r\nX-Kept: yes\r\n");
    CHECK_FALSE(contains(head, "gzip"));
    CHECK(contains(head, "X-Kept: yes\r\n"));
    REQUIRE(at_plugin->send(answer("{}")));
    CHECK(contains(client.read_until("\r\n\r\n{}"), "200 OK"));
    call("Create", "accept-encoding: gzip\r\n");
    CHECK(contains(head, "gzip"));
}

TEST_CASE_METHOD(ManagedFixture, "other answers are handed on as they are", "[proxy]") {
    call("Create");
    REQUIRE(at_plugin->send(answer(kTold)));
    CHECK(contains(client.read_until(kTold), "200 OK"));
    call("Mount");
    REQUIRE(at_plugin->send("HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nno volume"));
    CHECK(contains(client.read_until("no volume"), "500 Oh"));
    call("Mount");
    REQUIRE(at_plugin->send(answer(kTold)));
    CHECK(contains(client.read_until(kMeant), "200 OK"));
}

TEST_CASE_METHOD(ManagedFixture, "an answer that cannot be read is not handed on", "[proxy]") {
    call("Mount");
    REQUIRE(at_plugin->send(answer("/etc")));
    const std::string refused = client.read_until("not repeated\"}");
    CHECK(contains(refused, "502"));
    CHECK(contains(refused, "plugin vieux/sshfs:latest"));
    CHECK(contains(refused, "not valid JSON"));
    call("Mount");  // both connections go on
    REQUIRE(at_plugin->send(answer(kTold)));
    CHECK(contains(client.read_until(kMeant), "200 OK"));
}

TEST_CASE_METHOD(ManagedFixture, "an answer without end is refused, and its connection closed", "[proxy]") {
    call("List");
    REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
    const std::string chunk = "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
    int sent = 0;
    while (sent < 1000 && at_plugin->send(chunk)) ++sent;
    CHECK(sent < 1000);
    const std::string refused = client.read_until("not repeated\"}");
    CHECK(contains(refused, "502"));
    CHECK(contains(refused, "longer than 4 MiB"));
}

TEST_CASE_METHOD(ManagedFixture, "a plugin that ends within such an answer has failed", "[proxy]") {
    call("Mount");
    REQUIRE(at_plugin->send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + std::string{kTold}));
    at_plugin->close();
    const std::string refused = client.read_until("not repeated\"}");
    CHECK(contains(refused, "502"));
    CHECK(contains(refused, "within the body of its answer"));
    CHECK_FALSE(contains(refused, "/mnt/a"));
}

TEST_CASE_METHOD(ManagedFixture, "a long list comes whole to a client that reads late", "[proxy]") {
    std::string told = "{\"Volumes\":[";
    std::string meant = told;
    for (int i = 0; i < 20'000; ++i) {
        const std::string name = std::to_string(i);
        told += (i > 0 ? "," : "") + ("{\"Name\":\"v\",\"Mountpoint\":\"/mnt/" + name + "\"}");
        meant += (i > 0 ? "," : "") + ("{\"Name\":\"v\",\"Mountpoint\":\"/state/pm/" + name + "\"}");
    }
    told += "]}";
    meant += "]}";
    call("List");
    REQUIRE(at_plugin->send(answer(told)));
    CHECK(contains(client.read_until("\r\n\r\n"), "Content-Length: " + std::to_string(meant.size()) + "\r\n"));
    CHECK(client.read(meant.size()) == meant);
    call("Mount");
    REQUIRE(at_plugin->send(answer(kTold)));
    CHECK(contains(client.read_until(kMeant), "200 OK"));
}

TEST_CASE_METHOD(ManagedFixture, "a client that asks for the end of its connection gets it", "[proxy]") {
    call("Mount", "Connection: close\r\n");
    REQUIRE(at_plugin->send(answer(kTold)));
    const std::string all = client.read_to_end();
    CHECK(contains(all, "Connection: close\r\n"));
    CHECK(all.ends_with(kMeant));
}

#include "daemon/proxy/answer_limits.h"

#include <catch2/catch.hpp>

#include "daemon/proxy/proxy_settings.h"

using namespace brokerd;
using namespace std::chrono_literals;

TEST_CASE("a method's own limit comes before the plugin's", "[proxy]") {
    const AnswerLimits limits{30s, {{"VolumeDriver.Mount", 300s}, {"VolumeDriver.Path", 0s}}};
    CHECK(limits.of("/VolumeDriver.Mount") == 300s);
    CHECK(limits.of("/VolumeDriver.Path") == 0s);
    CHECK(limits.of("/VolumeDriver.List") == 30s);
    CHECK(limits.of("/VolumeDriver.Mount2") == 30s);
    CHECK(limits.of("") == 30s);
    CHECK(AnswerLimits{}.of("/VolumeDriver.Mount") == 120s);
}

TEST_CASE("plugins without limits of their own share one object", "[proxy]") {
    AnswerLimitTable table;
    const auto own = std::make_shared<const AnswerLimits>(5s);
    table.by_plugin.emplace("vieux/sshfs:latest", own);
    CHECK(table.of("vieux/sshfs:latest") == own);
    CHECK(table.of("vieux/sshfs") == table.general);
    CHECK(table.of("x") == table.of("y"));
    CHECK(table.general->of("/VolumeDriver.Mount") == 120s);
}

TEST_CASE("the threads' shares of the connections add up to the limit", "[proxy]") {
    for (const std::size_t limit : {1U, 2U, 5U, 4096U, 1'000'000U}) {
        for (const unsigned threads : {1U, 2U, 3U, 64U}) {
            const ProxySettings settings{.threads = threads, .max_connections = limit, .request_limit = 30s};
            std::size_t sum = 0;
            for (unsigned thread = 0; thread < threads; ++thread) sum += settings.share(thread);
            CHECK(sum == limit);
            CHECK(settings.share(0) - settings.share(threads - 1) <= 1);
        }
    }
}

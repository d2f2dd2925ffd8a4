#include "daemon/metrics/metrics_page.h"

#include <catch2/catch.hpp>
#include <string>

#include "daemon/metrics/prometheus_text.h"
#include "daemon/metrics/stats_of.h"

namespace brokerd {
namespace {

using namespace std::chrono_literals;
using Catch::Contains;

TEST_CASE("values of labels cannot leave their quotes", "[metrics]") {
    PrometheusText page;
    page.family("f", "counter", "Help.");
    page.sample({{"a", "q\"b\\s"}, {"b", "line\nend\r\x7f\xff"}, {"c", ""}}, std::uint64_t{3});
    page.sample({}, 0.25, "_sum");
    CHECK(page.take() ==
          "# HELP f Help.\n# TYPE f counter\n"
          "f{a=\"q\\\"b\\\\x5cs\",b=\"line\\\\x0aend\\\\x0d\\\\x7f\\\\xff\",c=\"\"} 3\n"
          "f_sum 0.25\n");
}

BrokerCounts three_plugins() {
    MethodMeter meter;
    for (const auto duration : {80us, 90us, 3000us}) {
        meter.begin();
        meter.end(Outcome::ok, duration, 10, 100);
    }
    meter.begin();
    meter.end(Outcome::plugin_error, 200s, 10, 100);
    meter.refuse();
    meter.begin();
    BrokerCounts counts;
    counts.plugins = {{1, "vieux/fs", "legacy", "active"},
                      {2, "quiet", "legacy", "invalid"},
                      {3, "acme/db:latest", "managed", "restarting", 7}};
    counts.managed_available = false;
    counts.config = {false, std::chrono::system_clock::time_point{1500ms}};
    counts.threads = std::make_shared<const std::vector<ThreadCounts>>(
        std::vector<ThreadCounts>{{{1, 4, 2, {{"VolumeDriver.Get", meter.counts()}}, 48}}, {{1, 0, 0, {}, 16}}});
    return counts;
}

TEST_CASE("the page has every count under its name", "[metrics]") {
    const std::string page = metrics_page(three_plugins(), read_process_figures());
    const std::string labels = R"({plugin="vieux/fs",method="VolumeDriver.Get")";
    for (const std::string& line : {
             std::string{"brokerd_config_last_reload_successful 0"},
             std::string{"brokerd_managed_plugins_available 0"},
             std::string{"brokerd_config_last_reload_success_timestamp_seconds 1.5"},
             std::string{R"(brokerd_plugins{state="active"} 1)"},
             std::string{R"(brokerd_plugins{state="failed"} 0)"},
             std::string{R"(brokerd_plugin_up{plugin="vieux/fs"} 1)"},
             std::string{R"(brokerd_plugin_up{plugin="quiet"} 0)"},
             std::string{R"(brokerd_plugin_connections{plugin="vieux/fs"} 4)"},
             std::string{R"(brokerd_plugin_max_connections{plugin="vieux/fs"} 64)"},
             std::string{R"(brokerd_plugin_max_connections{plugin="quiet"} 0)"},
             std::string{R"(brokerd_plugin_state{plugin="vieux/fs",kind="legacy",state="active"} 1)"},
             std::string{R"(brokerd_plugin_state{plugin="acme/db:latest",kind="managed",state="restarting"} 1)"},
             std::string{R"(brokerd_plugin_restarts_total{plugin="acme/db:latest"} 7)"},
             std::string{R"(brokerd_plugin_idle_upstream_connections{plugin="vieux/fs"} 2)"},
             "brokerd_plugin_calls_total" + labels + R"(,outcome="ok"} 3)",
             "brokerd_plugin_calls_total" + labels + R"(,outcome="plugin_error"} 1)",
             "brokerd_plugin_calls_total" + labels + R"(,outcome="broker_error"} 1)",
             "brokerd_plugin_calls_total" + labels + R"(,outcome="client_gone"} 0)",
             "brokerd_plugin_calls_in_flight" + labels + "} 1",
             "brokerd_plugin_request_bytes_total" + labels + "} 40",
             "brokerd_plugin_answer_bytes_total" + labels + "} 400",
             "brokerd_plugin_call_duration_seconds_bucket" + labels + R"(,le="5e-05"} 0)",
             "brokerd_plugin_call_duration_seconds_bucket" + labels + R"(,le="0.0001"} 2)",
             "brokerd_plugin_call_duration_seconds_bucket" + labels + R"(,le="0.0025"} 2)",
             "brokerd_plugin_call_duration_seconds_bucket" + labels + R"(,le="0.005"} 3)",
             "brokerd_plugin_call_duration_seconds_bucket" + labels + R"(,le="120"} 3)",
             "brokerd_plugin_call_duration_seconds_bucket" + labels + R"(,le="+Inf"} 4)",
             "brokerd_plugin_call_duration_seconds_count" + labels + "} 4",
             "brokerd_plugin_call_duration_seconds_sum" + labels + "} 200.00317",
         }) {
        CHECK_THAT(page, Contains("\n" + line + "\n"));
    }
    CHECK(page.find("method=\"quiet") == page.npos);
    CHECK(page.find("brokerd_plugin_restarts_total{plugin=\"quiet\"}") == page.npos);  // nobody starts it
    CHECK_THAT(page, Contains("# TYPE brokerd_plugin_call_duration_seconds histogram\n"));
}

TEST_CASE("the process knows itself", "[metrics]") {
    const ProcessFigures figures = read_process_figures();
    CHECK(figures.threads >= 1);
    CHECK(figures.open_fds >= 3);
    CHECK(figures.max_fds >= figures.open_fds);
    CHECK(figures.resident_bytes > 100'000);
    CHECK(figures.virtual_bytes > figures.resident_bytes);
    CHECK(figures.cpu_seconds > 0);
    const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    CHECK(figures.start_time < now + 60);
    CHECK(figures.start_time > now - 86'400);
}

TEST_CASE("stats carry the sum and each method", "[metrics]") {
    const auto stats = stats_of(three_plugins());
    REQUIRE(stats.size() == 3);
    CHECK(stats[1].name == "quiet");
    CHECK(stats[1].methods.empty());
    CHECK(stats[2].state == "active");
    CHECK(stats[2].connections == 4);
    CHECK(stats[2].total.calls == 5);
    CHECK(stats[2].total.errors() == 2);
    CHECK(stats[2].total.in_flight == 1);
    CHECK(stats[2].total.max == 200s);
    REQUIRE(stats[2].methods.size() == 1);
    CHECK(stats[2].methods[0].name == "VolumeDriver.Get");
    CHECK(stats[2].methods[0].stats.p50 > 84us);
    CHECK(stats[2].methods[0].stats.p50 < 96us);
}

}  // namespace
}  // namespace brokerd

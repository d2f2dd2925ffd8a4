#include "daemon/metrics/prometheus_text.h"

#include <fmt/format.h>

#include <iterator>

#include "common/plugin_name.h"

namespace brokerd {
namespace {

/// Printable ASCII as everywhere where we quote others, and then what the format itself escapes.
void append_label_value(std::string& out, std::string_view value) {
    for (const char c : escaped(value, value.size())) {
        if (c == '\\' || c == '"') out += '\\';
        out += c;
    }
}

}  // namespace

void PrometheusText::family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void PrometheusText::sample(Labels labels, std::uint64_t value, std::string_view suffix) {
    start_sample(labels, suffix);
    fmt::format_to(std::back_inserter(text_), " {}\n", value);
}

void PrometheusText::sample(Labels labels, double value, std::string_view suffix) {
    start_sample(labels, suffix);
    fmt::format_to(std::back_inserter(text_), " {}\n", value);
}

void PrometheusText::start_sample(Labels labels, std::string_view suffix) {
    text_ += name_;
    text_ += suffix;
    if (labels.size() == 0) return;
    char before = '{';
    for (const Label& label : labels) {
        text_ += before;
        text_ += label.name;
        text_ += "=\"";
        append_label_value(text_, label.value);
        text_ += '"';
        before = ',';
    }
    text_ += '}';
}

}  // namespace brokerd

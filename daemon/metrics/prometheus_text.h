#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace brokerd {

/// Metrics as Prometheus reads them (text format 0.0.4): families, each with its samples after it.
/// Names and help texts are ours; the values of labels may be anything. Thread: any one.
class PrometheusText {
public:
    static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

    struct Label {
        std::string_view name;
        std::string_view value;
    };
    using Labels = std::initializer_list<Label>;

    /// Starts a family; `type` is counter, gauge or histogram. `name` is a literal.
    void family(std::string_view name, std::string_view type, std::string_view help);
    /// A sample of the present family; `suffix` is "_bucket" and the like of a histogram.
    void sample(Labels labels, std::uint64_t value, std::string_view suffix = {});
    void sample(Labels labels, double value, std::string_view suffix = {});

    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    void start_sample(Labels labels, std::string_view suffix);

    std::string text_;
    std::string_view name_;
};

}  // namespace brokerd

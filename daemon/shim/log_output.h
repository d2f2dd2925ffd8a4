#pragma once

#include <chrono>
#include <string_view>

namespace brokerd {

/// What is kept of a plugin's output, line by line.
struct LogRecord {
    enum class Source { standard_output, standard_error, broker /**< said about the log itself */ };

    Source source = Source::broker;
    std::string_view message;
    bool partial = false;
    std::chrono::system_clock::time_point time{};
};

/// PLUGIN_STREAM in the journal, Stream in a file.
[[nodiscard]] constexpr std::string_view to_text(LogRecord::Source source) noexcept {
    switch (source) {
        case LogRecord::Source::standard_output:
            return "stdout";
        case LogRecord::Source::standard_error:
            return "stderr";
        case LogRecord::Source::broker:
            break;
    }
    return "brokerd";
}

/// Where lines are kept. Thread: one.
class LogOutput {
public:
    virtual ~LogOutput() = default;
    /// False: it could not be kept, and nothing of it is. Never waits for long, and not at all while that goes on.
    [[nodiscard]] virtual bool write(const LogRecord& record) = 0;
};

}  // namespace brokerd

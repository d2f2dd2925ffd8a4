#include "daemon/shim/journal_output.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace brokerd {
namespace {

/// Ours: journald falls behind for moments only, unless it is stuck. The plugin's pipe bears that long.
constexpr std::chrono::milliseconds kPatience{100};

/// A value that cannot begin another field.
std::string one_line(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
    return text;
}

iovec piece(std::string_view bytes) {
    return {const_cast<char*>(bytes.data()), bytes.size()};
}

}  // namespace

JournalOutput::JournalOutput(const std::string& id, const std::string& name, std::string socket)
    : identity_{"SYSLOG_IDENTIFIER=" + one_line(name) + "\nPLUGIN_NAME=" + one_line(name) +
                "\nPLUGIN_ID=" + one_line(id) + '\n'},
      socket_{std::move(socket)} {}

const std::array<iovec, 3>& JournalOutput::datagram(const LogRecord& record) {
    const bool warns = record.source == LogRecord::Source::broker;
    head_.assign(warns ? "PRIORITY=4\n" : "PRIORITY=6\n");
    head_ += identity_;
    head_ += "PLUGIN_STREAM=";
    head_ += to_text(record.source);
    head_ += record.partial ? "\nPLUGIN_PARTIAL=1\nMESSAGE=" : "\nMESSAGE=";
    // A message has no line feed, which is all that would need the protocol's other form.
    pieces_ = {piece(head_), piece(record.message), piece("\n")};
    return pieces_;
}

bool JournalOutput::write(const LogRecord& record) {
    using std::chrono::milliseconds;
    failing_ = !socket_.send(datagram(record), failing_ ? milliseconds{0} : kPatience);
    return !failing_;
}

}  // namespace brokerd

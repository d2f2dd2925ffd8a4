#include "daemon/loop/journal_sink.h"

#include <systemd/sd-login.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace brokerd {
namespace {

/// Ours: far more than any sentence needs, and of all fields together less than a socket's smallest buffer.
constexpr std::size_t kMostBytes = 8192;

void append(std::string& datagram, std::string_view name, std::string_view value) {
    value = value.substr(0, kMostBytes);
    datagram += name;
    if (value.find('\n') == std::string_view::npos) {
        datagram += '=';
    } else {  // the protocol's other form: name, line feed, 64 bits of length (little-endian), value
        datagram += '\n';
        for (unsigned shift = 0; shift < 64; shift += 8)
            datagram += static_cast<char>((static_cast<std::uint64_t>(value.size()) >> shift) & 0xFFU);
    }
    datagram += value;
    datagram += '\n';
}

}  // namespace

std::string JournalSink::datagram(const LogEntry& entry) {
    std::string datagram;
    append(datagram, "MESSAGE", entry.message);
    append(datagram, "PRIORITY", std::to_string(static_cast<int>(entry.level)));
    append(datagram, "SYSLOG_IDENTIFIER", "brokerd");
    if (!entry.id.hex.empty()) append(datagram, "MESSAGE_ID", entry.id.hex);
    for (const LogEntry::Field& field : entry.fields) append(datagram, field.name, field.value);
    return datagram;
}

std::string JournalSink::own_unit() {
    char* found = nullptr;
    if (sd_pid_get_unit(0, &found) < 0) return {};
    const std::unique_ptr<char, decltype(&std::free)> owned{found, &std::free};
    return std::string_view{found}.ends_with(".service") ? std::string{found} : std::string{};
}

bool JournalSink::try_write(const LogEntry& entry) {
    std::string bytes = datagram(entry);
    // journald asks /proc who the sender is, once it reads: of a process that has ended by then, as after the line that
    // says why brokerd cannot start, it knows the user alone. `journalctl -u` and `systemctl status` also find this
    // field, where root is the user.
    if (!unit_.empty()) append(bytes, "OBJECT_SYSTEMD_UNIT", unit_);
    const iovec piece{bytes.data(), bytes.size()};
    if (socket_.send({&piece, 1}, std::chrono::milliseconds{0})) return true;
    return errno == EMSGSIZE;  // it never would: the others need not wait behind it
}

}  // namespace brokerd

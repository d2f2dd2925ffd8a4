#include "daemon/archive/worker_report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "daemon/archive/escaped_name.h"
#include "daemon/archive/plugin_tar.h"
#include "daemon/archive/refused.h"

namespace brokerd {
namespace {

constexpr std::size_t kMaxLineBytes = 4096;
constexpr std::size_t kMaxMessageBytes = 1024;

}  // namespace

void ReportWriter::write_all(std::string_view bytes) const {
    while (!bytes.empty()) {
        const ssize_t done = write(fd_, bytes.data(), bytes.size());
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) throw Refused{"is not wanted any more"};
        bytes.remove_prefix(static_cast<std::size_t>(done));
    }
}

void ReportWriter::progress(std::size_t layer, std::uint64_t bytes) {
    write_all(fmt::format("P {} {}\n", layer, bytes));
}
void ReportWriter::digest(const Digest& digest) {
    write_all(fmt::format("D {}\n", digest.str()));
}
void ReportWriter::config(std::string_view bytes) {
    write_all(fmt::format("C {}\n", bytes.size()));
    write_all(bytes);
}
void ReportWriter::error(std::string_view message, bool is_host_to_blame) {
    write_all(fmt::format("{} {}\n", is_host_to_blame ? 'F' : 'E', escaped_text(message, kMaxMessageBytes)));
}
void ReportWriter::done(std::uint64_t entries, std::uint64_t bytes, std::uint64_t skipped) {
    write_all(fmt::format("T {} {} {}\n", entries, bytes, skipped));
}

WorkerReport::WorkerReport(std::size_t max_digests, Progress progress)
    : max_digests_{max_digests}, progress_{std::move(progress)} {}

Result<bool> WorkerReport::feed(std::string_view text) {
    while (!text.empty()) {
        if (config_left_ > 0) {
            const auto part = text.substr(0, std::min<std::uint64_t>(config_left_, text.size()));
            config->append(part);
            config_left_ -= part.size();
            text.remove_prefix(part.size());
            continue;
        }
        const std::size_t end = text.find('\n');
        pending_ += text.substr(0, end);
        if (pending_.size() > kMaxLineBytes) return fail("the archive worker's report makes no sense");
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
        if (!take_line(pending_)) return fail("the archive worker's report makes no sense");
        pending_.clear();
    }
    return true;
}

bool WorkerReport::take_line(std::string_view line) {
    if (line.size() < 3 || line[1] != ' ' || error_ || is_done_) return false;
    const std::string_view fields = line.substr(2);
    if (line[0] == 'E' || line[0] == 'F') {
        is_host_to_blame_ = line[0] == 'F';
        error_ = escaped_text(fields, kMaxMessageBytes);
        return true;
    }
    if (line[0] == 'D') {
        const auto digest = Digest::parse(fields);
        if (!digest || digests.size() == max_digests_) return false;
        digests.push_back(*digest);
        return true;
    }
    return take_numbers(line[0], fields);
}

bool WorkerReport::take_numbers(char kind, std::string_view fields) {
    std::array<std::uint64_t, 3> numbers{};
    std::size_t count = 0;
    const char* const end = fields.data() + fields.size();
    for (const char* at = fields.data();; ++at) {
        if (count == numbers.size()) return false;
        const auto [stop, status] = std::from_chars(at, end, numbers.at(count));
        if (status != std::errc{}) return false;
        ++count;
        at = stop;
        if (at == end) break;
        if (*at != ' ') return false;
    }
    if (kind == 'P' && count == 2 && numbers[0] < max_digests_) {
        if (progress_) progress_(numbers[0], numbers[1]);
        return true;
    }
    if (kind == 'C' && count == 1 && !config && numbers[0] <= kMaxPluginConfigBytes) {
        config.emplace();
        config_left_ = numbers[0];
        return true;
    }
    if (kind == 'T' && count == 3) {
        entries = numbers[0];
        bytes = numbers[1];
        skipped = numbers[2];
        is_done_ = true;
        return true;
    }
    return false;
}

}  // namespace brokerd

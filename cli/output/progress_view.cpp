#include "cli/output/progress_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/output/colours.h"
#include "cli/output/printable.h"
#include "cli/output/terminal_size.h"
#include "cli/output/units.h"

namespace brokerd::cli {
namespace {

using namespace std::chrono_literals;

/// Ours: 15 pictures a second look like movement.
constexpr std::chrono::milliseconds kInterval = 66ms;
/// Ours: an image has at most 127 layers.
constexpr std::size_t kMaxLines = 1000;
/// Ours: texts of the protocol are some words, and digests.
constexpr std::size_t kMaxText = 300;
/// Ours: so much text without an id waits for the next picture.
constexpr std::size_t kMaxWaiting = 64u << 10;
constexpr std::size_t kMinBar = 10, kMaxBar = 50;
/// What a picture needs beside the layers' lines: the cursor's line, and the one that counts the others.
constexpr std::size_t kOtherRows = 2;

std::string shown(std::string_view text) {
    return printable(text.substr(0, kMaxText));
}

std::string label(const std::string& id, const std::string& status) {
    return id.empty() ? shown(status) : fmt::format("{}: {}", shown(id), shown(status));
}

/// "[====>    ]" with `places` between the brackets.
std::string bar(std::uint64_t current, std::uint64_t total, std::size_t places) {
    const double part = std::clamp(static_cast<double>(current) / static_cast<double>(total), 0.0, 1.0);
    const auto filled = static_cast<std::size_t>(part * static_cast<double>(places));
    std::string out(filled, '=');
    if (filled < places) out += '>';
    out.resize(places, ' ');
    return fmt::format("[{}]", out);
}

/// What is counted, in so many places: a bar where there is room for one, and the numbers.
std::string counted(std::uint64_t current, std::uint64_t total, std::size_t places) {
    if (current == 0 && total == 0) return {};
    if (total == 0) return ' ' + human_bytes(current);
    const std::string numbers = fmt::format(" {}/{}", human_bytes(current), human_bytes(total));
    const std::size_t taken = width(numbers) + 3;  // blank and brackets
    if (places < taken + kMinBar) return numbers;
    return fmt::format(" {}{}", bar(current, total, std::min(places - taken, kMaxBar)), numbers);
}

}  // namespace

void ProgressView::show(const ProgressMessage& message, Clock::time_point now) {
    ++messages_;
    if (!in_place_) return print(message);
    if (message.id.empty()) {
        above_ += shown(message.status) + '\n';
    } else if (Line* line = line_of(message.id)) {
        line->status = message.status.substr(0, kMaxText);
        line->current = message.current;
        line->total = message.total;
        line->changed = messages_;
    }
    fresh_ = false;
    const bool early = now - last_ < kInterval && last_ != Clock::time_point{};
    if (early && above_.size() < kMaxWaiting) return;
    last_ = now;
    draw();
}

void ProgressView::finish() {
    if (in_place_ && !fresh_) draw();
    out_.flush();
}

ProgressView::Line* ProgressView::line_of(const std::string& id) {
    const auto known = index_.find(id);
    if (known != index_.end()) return &lines_[known->second];
    if (lines_.size() >= kMaxLines || id.size() > kMaxText) return nullptr;
    index_.emplace(id, lines_.size());
    Line& line = lines_.emplace_back();
    line.id = id;
    return &line;
}

void ProgressView::print(const ProgressMessage& message) {
    if (message.current != 0 || message.total != 0) return;
    if (!message.id.empty()) {
        Line* line = line_of(message.id);
        if (line != nullptr && line->status == message.status) return;
        if (line != nullptr) line->status = message.status.substr(0, kMaxText);
    }
    out_.write(label(message.id, message.status) + '\n');
    out_.flush();
}

std::vector<std::size_t> ProgressView::chosen(std::size_t room) const {
    std::vector<std::size_t> out(lines_.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = i;
    if (out.size() <= room) return out;
    std::nth_element(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(room), out.end(),
                     [&](std::size_t a, std::size_t b) { return lines_[a].changed > lines_[b].changed; });
    out.resize(room);
    std::sort(out.begin(), out.end());
    return out;
}

void ProgressView::draw() {
    const TerminalSize size = terminal_size(out_.fd());
    const std::size_t room = size.rows > kOtherRows ? size.rows - kOtherRows : 1;
    std::string picture = "\r";
    if (drawn_ > 0) picture += fmt::format("\x1b[{}A", drawn_);
    if (!above_.empty()) picture += "\x1b[J" + std::exchange(above_, {});
    const std::vector<std::size_t> visible = chosen(room);
    for (const std::size_t i : visible) {
        const Line& line = lines_[i];
        const std::string text = label(line.id, line.status);
        const std::size_t left = size.columns - std::min(size.columns, width(text));
        const std::string whole = shortened(text + counted(line.current, line.total, left), size.columns);
        picture += coloured(whole, out_.has_colours() ? colour_of_progress(line.status) : Colour::none) + "\x1b[K\n";
    }
    drawn_ = visible.size();
    if (visible.size() < lines_.size()) {
        picture += fmt::format("… and {} more\x1b[K\n", lines_.size() - visible.size());
        ++drawn_;
    }
    out_.write(picture + "\x1b[J");
    out_.flush();
    fresh_ = true;
}

}  // namespace brokerd::cli

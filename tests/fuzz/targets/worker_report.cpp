// What an archive worker tells, which may have been taken over by its archive: daemon/archive/worker_report.h,
// escaped_name.h.
#include "daemon/archive/worker_report.h"

#include "daemon/archive/escaped_name.h"
#include "daemon/archive/plugin_tar.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::worker_report_target {
namespace {

struct Heard {
    explicit Heard(std::size_t layers)
        : report{layers, [this](std::size_t layer, std::uint64_t bytes) {
                     expect(layer < 3, "progress is of a layer that there is");
                     last = bytes;
                 }} {}
    std::uint64_t last = 0;
    WorkerReport report;
    bool makes_sense = true;
};

}  // namespace

void try_input(std::string_view input) {
    Heard whole{3};
    whole.makes_sense = static_cast<bool>(whole.report.feed(input));
    Heard pieces{3};
    Cuts cuts{input};
    for (std::string_view left = input; pieces.makes_sense && !left.empty();) {
        const std::size_t size = cuts.next(left.size());
        pieces.makes_sense = static_cast<bool>(pieces.report.feed(left.substr(0, size)));
        left.remove_prefix(size);
    }
    expect(whole.makes_sense == pieces.makes_sense, "a report makes sense whole and in pieces");
    expect(!(whole.report.error() && whole.report.is_done()), "a job is done, or refused");
    expect(whole.report.digests.size() <= 3, "there are no more digests than layers");
    if (whole.report.config)
        expect(whole.report.config->size() <= kMaxPluginConfigBytes, "a config keeps to its limit");
    if (whole.report.error() && !whole.report.error()->empty()) expect_sentence(*whole.report.error());
    expect_sentence(escaped_name(input));
    if (!whole.makes_sense) return;
    expect(whole.report.error() == pieces.report.error() && whole.report.is_done() == pieces.report.is_done() &&
               whole.report.digests == pieces.report.digests && whole.report.config == pieces.report.config &&
               whole.report.entries == pieces.report.entries && whole.report.bytes == pieces.report.bytes &&
               whole.report.skipped == pieces.report.skipped && whole.last == pieces.last,
           "a report says the same whole and in pieces");
}

}  // namespace brokerd::fuzz::worker_report_target

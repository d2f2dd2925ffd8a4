// Times, durations, sizes, counts, and other words of settings and arguments: daemon/logs/since.h,
// common/plugin_view.h, cli/limit_arguments.h, daemon/config, common/base64.h, cli/process/ssh_address.h.
#include "cli/limit_arguments.h"
#include "cli/process/ssh_address.h"
#include "common/base64.h"
#include "common/plugin_limits.h"
#include "common/plugin_view.h"
#include "daemon/config/answer_timeouts.h"
#include "daemon/config/value_checks.h"
#include "daemon/logs/since.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::short_texts_target {
namespace {

void try_times(std::string_view text) {
    using Clock = std::chrono::system_clock;
    const Clock::time_point now{std::chrono::seconds{1'700'000'000}};
    static_cast<void>(parse_since(text, now));
    const auto time = parse_time(text);
    if (time != Clock::time_point{})
        expect(parse_time(format_time(time)) == time, "a time is read as itself", format_time(time));
}

void try_amounts(std::string_view text) {
    using namespace cli;
    const auto count = parse_count(text);
    const auto size = parse_size(text);
    constexpr std::uint64_t kExact = std::uint64_t{1} << 53;  // sizes may have fractions: they are read as doubles
    if (count && size && *count <= kExact) expect(*count == *size, "a plain number is that many bytes", text);
    const auto processors = parse_processors(text);
    if (count && processors)
        expect(*processors == *count * 1'000'000'000U, "a plain number is that many processors", text);
}

void try_ssh(std::string_view text) {
    const auto address = cli::SshAddress::parse(text);
    // An error quotes the user's own words, and is made printable where it is printed (cli/main.cpp, session.cpp).
    if (!address) return expect(!address.error().message.empty(), "an error says what is wrong");
    for (const std::string& word : {address->user, address->host, address->socket_path}) {
        expect(!word.starts_with('-'), "no word of an address is an option of ssh", word);
        // A zone's name stands behind %, which a shell takes as it is within a word.
        expect(word.find_first_of(" \t\n\r\"'`$\\;|&<>(){}*?!~#") == std::string::npos && is_printable_line(word),
               "no word of an address means something to a shell", word);
    }
    expect(!address->host.empty(), "an address has a host");
}

void try_values(const std::string& text) {
    for (const std::string& fault :
         {check_absolute(text), check_not_empty(text), check_registry(text), check_mirror(text)})
        if (!fault.empty()) expect_sentence(fault);
    const auto timeouts = AnswerTimeouts::parse(lines_of(text));
    if (!timeouts) expect_sentence(timeouts.error().message);
}

}  // namespace

void try_input(std::string_view input) {
    try_times(input);
    try_amounts(input);
    try_ssh(input);
    try_values(std::string{input});
    expect(base64_decoded(base64_encoded(input)) == std::string{input}, "what is encoded is decoded to itself");
    expect(base64_decoded(base64url_encoded(input)) == std::string{input}, "what is encoded is decoded to itself");
    if (const auto bytes = base64_decoded(input)) {
        const auto again = base64_decoded(base64_encoded(*bytes));
        expect(again == bytes, "what is decoded is encoded to itself");
    }
}

}  // namespace brokerd::fuzz::short_texts_target

#include "daemon/registry/registry_reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "common/json.h"
#include "common/secrets.h"

namespace brokerd {
namespace {

/// Ours: an error document may list many.
constexpr unsigned kMaxErrorsTold = 3;

struct Told {
    std::string codes;  ///< all of them, each with a blank behind
    std::string text;   ///< for a person, may be empty
};

Told read_errors(std::string_view body, const std::vector<std::string>& secrets) {
    // Hidden before it is cut, or the beginning of a secret might be left.
    const auto text_of = [&secrets](const rapidjson::Value& object, const char* key, std::size_t limit = 300) {
        return printable_reply(without(string_member(object, key), secrets), limit);
    };
    Told told;
    const auto document = parse_json(body);
    if (!document || !document->IsObject()) return told;
    const auto errors = document->FindMember("errors");
    if (errors == document->MemberEnd() || !errors->value.IsArray()) {
        // Token services, and registries behind gateways: {"message": …}, {"details": …}, {"error": …}.
        for (const char* key : {"message", "details", "error_description", "error"}) {
            if (told.text = text_of(*document, key); !told.text.empty()) break;
        }
        return told;
    }
    unsigned count = 0;
    for (const rapidjson::Value& error : errors->value.GetArray()) {
        if (!error.IsObject() || count++ == kMaxErrorsTold) continue;
        const std::string code = text_of(error, "code", 60);
        const std::string message = text_of(error, "message");
        const std::string detail = text_of(error, "detail", 200);
        told.codes += code + ' ';
        if (!told.text.empty()) told.text += "; ";
        told.text += message.empty() ? code : message;
        if (!detail.empty()) told.text += fmt::format(" ({})", detail);
    }
    return told;
}

RegistryErrorKind kind_of(unsigned status, const std::string& codes) {
    const auto has = [&codes](std::string_view code) { return codes.find(code) != codes.npos; };
    if (status == 401) return RegistryErrorKind::unauthorized;
    if (status == 403 || (has("DENIED") && status / 100 == 4)) return RegistryErrorKind::denied;
    if (status == 404 || has("_UNKNOWN ")) return RegistryErrorKind::not_found;
    if (is_transient_status(status) || status / 100 == 5) return RegistryErrorKind::unreachable;
    return RegistryErrorKind::invalid;
}

std::string_view words_of(RegistryErrorKind kind, bool asked_with_credentials) {
    switch (kind) {
        case RegistryErrorKind::unauthorized:
            return asked_with_credentials ? "wrong user name or password"
                                          : "it requires a login, or has no such repository";
        case RegistryErrorKind::denied:
            return "denied";
        case RegistryErrorKind::not_found:
            return "not found";
        case RegistryErrorKind::unreachable:
            return "it is in trouble";
        case RegistryErrorKind::invalid:
        case RegistryErrorKind::io:
        case RegistryErrorKind::cancelled:
            break;
    }
    return "it refuses the request";
}

}  // namespace

std::string printable_reply(std::string_view text, std::size_t limit) {
    std::string result;
    for (const char c : text) {
        if (result.size() >= limit) return result + "...";
        if (c >= 0x20 && c < 0x7f) {
            result += c;
        } else if (c == '\n' || c == '\t' || c == '\r') {
            result += ' ';
        } else {
            result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
    }
    return result;
}

bool is_transient_status(unsigned status) noexcept {
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

std::chrono::milliseconds parse_retry_after(std::string_view value, std::chrono::system_clock::time_point now) {
    /// Whoever asks for more is asked again after this; callers have lower limits of their own.
    constexpr std::chrono::seconds kLongest{86'400};
    std::uint64_t seconds = 0;
    const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (!value.empty() && end == value.data() + value.size()) {
        if (code == std::errc::result_out_of_range) return kLongest;
        if (code == std::errc{})
            return std::chrono::seconds{std::min<std::uint64_t>(seconds, static_cast<std::uint64_t>(kLongest.count()))};
    }
    std::tm date{};
    const std::string text{value};
    // RFC 9110 5.6.7, the one form that is still generated; the daemon's locale is C.
    const char* rest = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
    if (rest == nullptr || *rest != '\0') return std::chrono::milliseconds{0};
    // In seconds: the clock's own nanoseconds do not reach to every year that can be written.
    const auto wait =
        std::chrono::seconds{::timegm(&date)} - std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
    return std::clamp(wait, std::chrono::seconds{0}, kLongest);
}

RegistryError error_of(const HttpAnswer& answer, std::string_view body, std::string_view host,
                       bool asked_with_credentials, const std::vector<std::string>& secrets) {
    const Told told = read_errors(body, secrets);
    RegistryError error;
    error.kind = kind_of(answer.status, told.codes);
    // RFC 6750 3.1: who asks is known, and may not do this.
    const bool known = answer.fields_joined("www-authenticate").find("insufficient_scope") != std::string::npos;
    if (answer.status == 401 && asked_with_credentials && known) error.kind = RegistryErrorKind::denied;
    error.transient = is_transient_status(answer.status) && error.kind == RegistryErrorKind::unreachable;
    if (error.transient)
        error.retry_after = parse_retry_after(answer.field("retry-after"), std::chrono::system_clock::now());
    error.message = fmt::format("{} answers {}: {}", host, answer.status, words_of(error.kind, asked_with_credentials));
    if (answer.status == 429) error.message = fmt::format("{} answers 429: too many requests", host);
    if (!told.text.empty()) error.message += fmt::format(": {}", told.text);
    return error;
}

}  // namespace brokerd

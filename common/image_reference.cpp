#include "common/image_reference.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "common/plugin_name.h"

// The grammar is distribution/reference's. Its two steps are kept apart: first the short form is completed (which first
// part is a host?), then the long form is split. A name cannot contain a colon after its host, so that the tag begins
// at the first one, and everything after "@" is a digest: no regular expression is needed.

namespace brokerd {
namespace {

constexpr std::string_view kDefaultDomain = "docker.io";
/// The same registry under an older name.
constexpr std::string_view kLegacyDomain = "index.docker.io";
constexpr std::string_view kOfficialPrefix = "library/";
constexpr std::string_view kDefaultTag = "latest";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
bool is_alphanumeric(char c) {
    return is_digit(c) || is_lower(c) || is_upper(c);
}
bool has_upper(std::string_view text) {
    return std::any_of(text.begin(), text.end(), is_upper);
}
bool is_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

/// Calls `check` for each part of `text` between separators; whether it held for all of them.
template <class Check>
bool each_part(std::string_view text, char separator, Check check) {
    for (std::size_t start = 0; start <= text.size();) {
        const std::size_t end = std::min(text.find(separator, start), text.size());
        if (!check(text.substr(start, end - start))) return false;
        start = end + 1;
    }
    return true;
}

/// Letters and digits, with hyphens between them.
bool is_host_label(std::string_view label) {
    return !label.empty() && label.front() != '-' && label.back() != '-' &&
           std::all_of(label.begin(), label.end(), [](char c) { return is_alphanumeric(c) || c == '-'; });
}

bool is_port(std::string_view port) {
    return !port.empty() && std::all_of(port.begin(), port.end(), is_digit);
}

bool is_ipv6(std::string_view address) {
    in6_addr ignored{};
    if (address.find('\0') != std::string_view::npos) return false;  // where inet_pton() would end
    return inet_pton(AF_INET6, std::string{address}.c_str(), &ignored) == 1;
}

bool is_domain(std::string_view domain) {
    if (domain.substr(0, 1) == "[") {
        const std::size_t close = domain.find(']');
        if (close == std::string_view::npos || !is_ipv6(domain.substr(1, close - 1))) return false;
        const std::string_view rest = domain.substr(close + 1);
        return rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
    }
    const std::size_t colon = domain.find(':');
    if (colon != std::string_view::npos && !is_port(domain.substr(colon + 1))) return false;
    return each_part(domain.substr(0, colon), '.', is_host_label);
}

/// Lower-case letters and digits in runs, which one dot, one or two underscores, or any number of hyphens separate.
bool is_path_part(std::string_view part) {
    const auto is_run = [](char c) { return is_digit(c) || is_lower(c); };
    if (part.empty() || !is_run(part.front()) || !is_run(part.back())) return false;
    for (std::size_t i = 0; i < part.size();) {
        if (is_run(part[i])) {
            ++i;
            continue;
        }
        const std::size_t start = i;
        while (!is_run(part[i])) ++i;
        const std::string_view separator = part.substr(start, i - start);
        const bool hyphens = separator.find_first_not_of('-') == std::string_view::npos;
        if (!hyphens && separator != "." && separator != "_" && separator != "__") return false;
    }
    return true;
}

bool is_tag(std::string_view tag) {
    const auto is_word = [](char c) { return is_alphanumeric(c) || c == '_'; };
    return !tag.empty() && tag.size() <= ImageReference::kMaxTagBytes && is_word(tag.front()) &&
           std::all_of(tag.begin(), tag.end(), [&](char c) { return is_word(c) || c == '.' || c == '-'; });
}

/// A container's or an image's whole ID, which Docker takes for no name.
bool is_id(std::string_view text) {
    return text.size() == Digest::kHexDigits && is_hex(text);
}

struct LongForm {
    std::string_view domain;
    std::string rest;  ///< path, tag and digest
};

/// Docker's rule for the first part of a name.
LongForm complete(std::string_view text) {
    const std::size_t slash = text.find('/');
    const std::string_view first = text.substr(0, std::min(slash, text.size()));
    LongForm out{kDefaultDomain, std::string{text}};
    if (slash != std::string_view::npos &&
        (first.find_first_of(".:") != std::string_view::npos || first == "localhost" || has_upper(first))) {
        out = {first, std::string{text.substr(slash + 1)}};
    }
    if (out.domain == kLegacyDomain) out.domain = kDefaultDomain;
    if (out.domain == kDefaultDomain && out.rest.find('/') == std::string::npos) out.rest.insert(0, kOfficialPrefix);
    return out;
}

/// What is wrong with the parts, or an empty string.
std::string problem(const LongForm& form, std::string_view path, const std::optional<std::string_view>& tag) {
    if (!is_domain(form.domain)) return fmt::format("\"{}\" is no host name", escaped(form.domain, 80));
    if (has_upper(path)) return "its name must be lower case";
    if (!each_part(path, '/', is_path_part))
        return "a name has parts of a-z and 0-9, with single . or _ or - inside of them and / between them";
    if (form.domain.size() + 1 + path.size() > ImageReference::kMaxNameBytes)
        return fmt::format("its name is longer than {} bytes", ImageReference::kMaxNameBytes);
    if (tag && !is_tag(*tag)) {
        return fmt::format("a tag has letters, digits and _ . -, does not begin with . or -, and has at most {} bytes",
                           ImageReference::kMaxTagBytes);
    }
    return {};
}

}  // namespace

Result<ImageReference> ImageReference::parse(std::string_view text) {
    const auto refuse = [&](std::string_view why) {
        return fail(fmt::format("\"{}\" is not an image reference: {}", escaped(text, 80), why));
    };
    if (text.empty()) return fail("the image reference is empty; write [HOST[:PORT]/]NAME[:TAG]");
    if (is_id(text)) return refuse("64 hexadecimal digits are an ID; write a name");

    const LongForm form = complete(text);
    const std::string_view rest = form.rest;
    const std::size_t at = rest.find('@');
    const std::string_view name_and_tag = rest.substr(0, at);
    const std::size_t colon = name_and_tag.find(':');
    const std::string_view path = name_and_tag.substr(0, colon);
    std::optional<std::string_view> tag;
    if (colon != std::string_view::npos) tag = name_and_tag.substr(colon + 1);
    if (const std::string why = problem(form, path, tag); !why.empty()) return refuse(why);

    ImageReference reference{std::string{form.domain}, std::string{path}};
    if (tag) reference.tag_ = std::string{*tag};
    if (at != std::string_view::npos) {
        auto digest = Digest::parse(rest.substr(at + 1));
        if (!digest) return refuse(digest.error().message);
        reference.digest_ = *std::move(digest);
    }
    return reference;
}

std::string ImageReference::name() const {
    return domain_ + '/' + path_;
}

std::string ImageReference::familiar_name() const {
    if (domain_ != kDefaultDomain) return name();
    std::string_view path = path_;
    if (path.substr(0, kOfficialPrefix.size()) == kOfficialPrefix &&
        path.find('/', kOfficialPrefix.size()) == std::string_view::npos) {
        path.remove_prefix(kOfficialPrefix.size());
    }
    if (is_id(path)) return name();
    // docker.io/a.b/c without its host would be c on the host a.b. Docker prints that; it is another image.
    const LongForm again = complete(path);
    return again.domain == domain_ && again.rest == path_ ? std::string{path} : name();
}

std::string ImageReference::familiar() const {
    return familiar_name() + (tag_ ? ':' + *tag_ : "") + (digest_ ? '@' + digest_->str() : "");
}

std::string ImageReference::str() const {
    return name() + (tag_ ? ':' + *tag_ : "") + (digest_ ? '@' + digest_->str() : "");
}

ImageReference ImageReference::with_default_tag() const {
    ImageReference out = *this;
    if (!tag_ && !digest_) out.tag_ = std::string{kDefaultTag};
    return out;
}

Result<ImageReference> ImageReference::with_tag(std::string_view tag) const {
    if (!is_tag(tag)) {
        return fail(fmt::format("\"{}\" is not a tag: it has letters, digits and _ . -, and at most {} bytes",
                                escaped(tag, 80), kMaxTagBytes));
    }
    ImageReference out = without_tag();
    out.tag_ = std::string{tag};
    return out;
}

ImageReference ImageReference::with_digest(const Digest& digest) const {
    ImageReference out = without_tag();
    out.digest_ = digest;
    return out;
}

ImageReference ImageReference::without_tag() const {
    return ImageReference{domain_, path_};
}

}  // namespace brokerd

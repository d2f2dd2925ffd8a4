// What users call images and plugins: common/image_reference.h, common/plugin_name.h, common/digest.h.
#include "common/image_reference.h"

#include "common/plugin_name.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::image_reference_target {
namespace {

void expect_reference(const ImageReference& reference) {
    for (const std::string& text : {reference.str(), reference.familiar()}) {
        const auto again = ImageReference::parse(text);
        expect(again && *again == reference, "a reference is read as itself, in the long form and in the short", text);
    }
    expect(reference.name().size() <= ImageReference::kMaxNameBytes, "a reference's name keeps to its limit");
    expect(!reference.tag() || reference.tag()->size() <= ImageReference::kMaxTagBytes, "a tag keeps to its limit");
    // It becomes a part of URLs and of paths.
    expect(reference.str().find_first_of(" \t\r\n\\?#%&\"'<>~") == std::string::npos &&
               reference.name().find("..") == std::string::npos && reference.str().find("//") == std::string::npos &&
               is_printable_line(reference.str()),
           "a reference is safe in a URL and in a path", reference.str());
}

void try_name(std::string_view input) {
    const auto name = PluginName::parse(input);
    if (!name) return expect_sentence(name.error().message);
    expect(name->str() == input && input.size() <= PluginName::kMaxBytes, "a plugin's name stays as it is");
    const std::string parts = '/' + name->str() + '/';
    expect(parts.find("//") == std::string::npos && parts.find("/.") == std::string::npos &&
               parts.find('\0') == std::string::npos && is_printable_line(parts),
           "a plugin's name is a path that stays below its directory", parts);
}

}  // namespace

void try_input(std::string_view input) {
    try_name(input);
    if (const auto digest = Digest::parse(input)) {
        expect(digest->str() == input && digest->hex().size() == Digest::kHexDigits, "a digest stays as it is");
        expect(*Digest::from_hex(digest->hex()) == *digest, "a digest's digits are the digest");
    }
    const auto reference = ImageReference::parse(input);
    if (!reference) return expect_sentence(reference.error().message);
    expect_reference(*reference);
    expect_reference(reference->with_default_tag());
    expect_reference(reference->without_tag());
    if (const auto tagged = reference->with_tag(input.substr(input.size() / 2))) expect_reference(*tagged);
    expect(!escaped(input, 40).empty() && is_printable_line(escaped(input, 40)), "what is escaped can be shown");
}

}  // namespace brokerd::fuzz::image_reference_target

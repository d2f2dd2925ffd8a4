#include "daemon/control/request_bodies.h"

#include <optional>
#include <utility>

#include "common/json.h"
#include "common/json_members.h"

namespace brokerd {
namespace {

/// The strings of an array that holds nothing else; nothing where it is no such array.
std::optional<std::vector<std::string>> read_strings(const rapidjson::Value& array) {
    if (!array.IsArray()) return std::nullopt;
    std::vector<std::string> strings;
    for (const auto& item : array.GetArray()) {
        if (!item.IsString()) return std::nullopt;
        strings.emplace_back(item.GetString(), item.GetStringLength());
    }
    return strings;
}

/// The member "Settings" of an object that may have one.
Result<std::vector<std::string>> settings_of(const rapidjson::Value& object) {
    const rapidjson::Value* settings = member(object, "Settings");
    if (settings == nullptr || settings->IsNull()) return std::vector<std::string>{};
    auto texts = read_strings(*settings);
    if (!texts) return fail("\"Settings\" must be an array of strings");
    return *std::move(texts);
}

}  // namespace

Result<std::vector<std::string>> parse_strings(std::string_view body) {
    const auto document = parse_json(body);
    auto strings = document ? read_strings(*document) : std::nullopt;
    if (!strings) return fail("the body must be a JSON array of strings");
    return *std::move(strings);
}

Result<LimitsRequest> parse_limits_request(std::string_view body) {
    const auto document = parse_json(body);
    if (!document || !document->IsObject()) return fail("the body must be a JSON object");
    auto limits = read_limits(*document);
    if (!limits) return fail(limits.error());
    auto settings = settings_of(*document);
    if (!settings) return fail(settings.error());
    return LimitsRequest{*limits, *std::move(settings)};
}

Result<StagedInstall> parse_staged_install(std::string_view body) {
    const auto document = parse_json(body);
    if (!document || !document->IsObject()) return fail("the body must be a JSON object");
    StagedInstall install;
    if (const rapidjson::Value* const list = member(*document, "Privileges")) {
        auto privileges = read_privileges(*list);
        if (!privileges) return fail(privileges.error());
        install.privileges = *std::move(privileges);
    }
    auto settings = settings_of(*document);
    if (!settings) return fail(settings.error());
    install.settings = *std::move(settings);
    return install;
}

}  // namespace brokerd

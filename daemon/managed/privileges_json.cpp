#include <fmt/format.h>

#include "daemon/managed/json_field.h"
#include "daemon/managed/privileges.h"

namespace brokerd {
namespace {

/// A list as long as a config of kMaxConfigBytes can ask for is a tenth of this.
constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

Privilege read_privilege(const JsonField& field) {
    Privilege privilege;
    if (field.missing()) field.refuse("must be an object");
    field.expect_object();
    field.member("Name").read(privilege.name);
    field.member("Description").read(privilege.description);
    NullableList<std::string> values;
    field.member("Value").read(values);
    privilege.value = std::move(values.items());
    if (privilege.name.empty()) field.member("Name").refuse("must not be empty");
    return privilege;
}

}  // namespace

Result<Privileges> read_privileges(const rapidjson::Value& value) {
    std::optional<ConfigError> error;
    Privileges all;
    for (const JsonField& element : JsonField{value, error}.elements()) all.push_back(read_privilege(element));
    if (error) return fail(fmt::format("the list of granted privileges is not valid: {}", error->str()));
    return all;
}

Result<Privileges> parse_privileges(std::string_view bytes) {
    if (bytes.find_first_not_of(" \t\r\n") == std::string_view::npos) return Privileges{};
    if (bytes.size() > kMaxBytes) {
        return fail(fmt::format("the list of granted privileges is longer than {} MiB", kMaxBytes >> 20));
    }
    const auto document = parse_json(bytes);
    if (!document) {
        return fail(fmt::format("the list of granted privileges is not JSON: line {}, column {}: {}",
                                document.error().line, document.error().column, document.error().message));
    }
    return read_privileges(*document);
}

void write_privileges(JsonWriter& writer, const Privileges& privileges) {
    writer.StartArray();
    for (const Privilege& privilege : privileges) {
        writer.StartObject();
        write_member(writer, "Name", privilege.name);
        write_member(writer, "Description", privilege.description);
        write_key(writer, "Value");
        writer.StartArray();
        for (const std::string& value : privilege.value) write_string(writer, value);
        writer.EndArray();
        writer.EndObject();
    }
    writer.EndArray();
}

}  // namespace brokerd

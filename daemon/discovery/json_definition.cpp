#include <fmt/format.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "common/endpoint.h"
#include "common/json.h"
#include "common/letter_case.h"
#include "common/plugin_name.h"
#include "common/result.h"
#include "daemon/discovery/address_advice.h"
#include "daemon/discovery/definition_text.h"
#include "daemon/discovery/json_places.h"

namespace brokerd {
namespace {

using Problem = PluginDefinition::Problem;

/// Ours: a file with more oddities than this is told so in one line.
constexpr std::size_t kMaxWarnings = 16;

struct Complaint {
    std::size_t offset;
    std::string message;
    std::string remedy;
    Problem problem = Problem::malformed;
};

struct Member {
    const rapidjson::Value* value = nullptr;  ///< nullptr where the member is absent or null
    MemberPlace place;
};

std::string_view text_of(const rapidjson::Value& value) {
    return {value.GetString(), value.GetStringLength()};
}

class JsonDefinition {
public:
    JsonDefinition(const std::string& name, const std::string& file, std::string_view text)
        : definition_{blank_definition(name, file, PluginDefinition::Source::json)}, text_{text} {
        strip_byte_order_mark(text_, definition_);
    }

    PluginDefinition read() {
        auto endpoint = read_document();
        if (endpoint) {
            definition_.endpoint = std::move(*endpoint);
        } else {
            const Complaint& complaint = endpoint.error();
            definition_.problem = complaint.problem;
            definition_.reason = at_place(definition_.file, text_, complaint.offset, complaint.message);
            definition_.remedy = complaint.remedy;
        }
        return std::move(definition_);
    }

private:
    void warn(std::size_t offset, const std::string& message) {
        if (definition_.warnings.size() == kMaxWarnings) {
            definition_.warnings.push_back(at_place(definition_.file, text_, offset, "and more after that"));
        } else if (definition_.warnings.size() < kMaxWarnings) {
            definition_.warnings.push_back(at_place(definition_.file, text_, offset, message));
        }
    }

    /// What a right file looks like, for remedies.
    [[nodiscard]] std::string example() const {
        return fmt::format(R"(write {{"Name": "{}", "Addr": "tcp://HOST:PORT"}})", definition_.name);
    }

    Result<rapidjson::Document, Complaint> parse() {
        // RapidJSON takes a zero byte for the end of its input and would not see what comes after.
        if (const std::size_t zero = text_.find('\0'); zero != std::string_view::npos) {
            return fail(Complaint{zero, "it is not JSON: it contains a zero byte", example()});
        }
        if (text_.find_first_not_of(" \t\r\n") == std::string_view::npos) {
            return fail(Complaint{0, "the file is empty", example()});
        }
        auto strict = parse_json(text_);
        if (strict) return std::move(*strict);
        auto tolerant = parse_json(text_, TrailingCommas::accepted);
        if (!tolerant) {
            const std::size_t offset = offset_of(tolerant.error());
            // RapidJSON calls this an invalid escape sequence, which nobody who sees the file would look for.
            const bool line_break = offset < text_.size() && (text_[offset] == '\n' || text_[offset] == '\r');
            const bool in_string = tolerant.error().message.find("in string") != std::string::npos;
            return fail(Complaint{offset,
                                  "it is not JSON: " + (line_break && in_string ? "The line ends inside a string."
                                                                                : tolerant.error().message),
                                  "correct the file there, or " + example()});
        }
        const std::size_t after = offset_of(strict.error());
        const std::size_t comma = text_.rfind(',', after);
        warn(comma == std::string_view::npos ? after : comma,
             "the comma before the closing bracket is not JSON; it is ignored here, but Docker refuses the file: "
             "remove it");
        return std::move(*tolerant);
    }

    [[nodiscard]] std::size_t offset_of(const JsonError& error) const {
        std::size_t line_start = 0;
        for (std::size_t line = 1; line < error.line; ++line) line_start = text_.find('\n', line_start) + 1;
        return line_start + error.column - 1;
    }

    /// The members called `known`, in that order. `prefix` names the object in messages.
    Result<std::vector<Member>, Complaint> pick(const rapidjson::Value& object, const std::vector<MemberPlace>& places,
                                                std::initializer_list<std::string_view> known,
                                                std::string_view prefix) {
        std::vector<Member> picked(known.size());
        std::vector<bool> seen(known.size());
        for (std::size_t i = 0; i < object.MemberCount() && i < places.size(); ++i) {
            const auto& member = *(object.MemberBegin() + static_cast<std::ptrdiff_t>(i));
            const std::string_view name = text_of(member.name);
            const auto* const which = std::find_if(known.begin(), known.end(),
                                                   [&](std::string_view k) { return equals_ignoring_case(k, name); });
            if (which == known.end()) {
                warn(places[i].name, fmt::format("\"{}{}\" is not a member that Docker or brokerd knows; it is ignored",
                                                 prefix, escaped(name, 60)));
                continue;
            }
            const auto index = static_cast<std::size_t>(which - known.begin());
            if (seen[index]) {
                return fail(Complaint{places[i].name, fmt::format("\"{}{}\" occurs twice", prefix, *which),
                                      "remove one of the two"});
            }
            seen[index] = true;
            if (!member.value.IsNull()) picked[index] = {&member.value, places[i]};
        }
        return picked;
    }

    static Complaint not_a(std::string_view type, std::string_view member, const Member& found, std::string remedy) {
        return {found.place.value, fmt::format("\"{}\" is not {}", member, type), std::move(remedy)};
    }

    Result<Endpoint, Complaint> read_document() {
        const auto document = parse();
        if (!document) return fail(document.error());
        if (!document->IsObject())
            return fail(Complaint{text_.find_first_not_of(" \t\r\n"), "it is not a JSON object", example()});
        const auto members = pick(*document, place_members(text_), {"Name", "Addr", "TLSConfig"}, "");
        if (!members) return fail(members.error());
        if (auto wrong = check_name((*members)[0])) return fail(std::move(*wrong));
        auto endpoint = read_address((*members)[1]);
        if (!endpoint) return endpoint;
        const Member& tls = (*members)[2];
        if (tls.value == nullptr) return endpoint;
        if (!tls.value->IsObject())
            return fail(not_a("an object", "TLSConfig", tls, R"(write "TLSConfig": {"CAFile": "/path/ca.pem"})"));
        return with_tls(std::move(*endpoint), tls);
    }

    [[nodiscard]] std::optional<Complaint> check_name(const Member& name) const {
        const std::string remedy = fmt::format(R"(write "Name": "{}")", definition_.name);
        if (name.value == nullptr) return Complaint{0, "\"Name\" is missing", remedy};
        if (!name.value->IsString()) return not_a("a string", "Name", name, remedy);
        if (text_of(*name.value) == definition_.name) return std::nullopt;
        return Complaint{
            name.place.value,
            fmt::format("\"Name\" is \"{}\", but the name of the file says \"{}\", so Docker does not recognise it",
                        escaped(text_of(*name.value), 80), definition_.name),
            remedy + ", or rename the file", Problem::name_mismatch};
    }

    Result<Endpoint, Complaint> read_address(const Member& address) const {
        const std::string remedy =
            R"(write "Addr": "tcp://HOST:PORT" (or https://HOST:PORT, or unix:///run/NAME.sock))";
        if (address.value == nullptr) return fail(Complaint{0, "\"Addr\" is missing", remedy});
        if (!address.value->IsString()) return fail(not_a("a string", "Addr", address, remedy));
        auto endpoint = Endpoint::parse(text_of(*address.value));
        if (endpoint) return std::move(*endpoint);
        return fail(Complaint{address.place.value, "\"Addr\": " + endpoint.error().message,
                              address_remedy(text_of(*address.value))});
    }

    Result<Endpoint, Complaint> with_tls(Endpoint endpoint, const Member& config) {
        const auto settings = read_tls(config);
        if (!settings) return fail(settings.error());
        if (endpoint.kind() == Endpoint::Kind::unix_socket) {
            warn(config.place.name, "\"TLSConfig\" is ignored: a Unix socket does not use TLS");
            return endpoint;
        }
        if (endpoint.scheme() == "http") {
            return fail(Complaint{config.place.name, "\"TLSConfig\" contradicts the http:// in \"Addr\"",
                                  fmt::format("write https://{} in \"Addr\", or remove \"TLSConfig\"",
                                              endpoint.str().substr(std::string_view{"http://"}.size()))});
        }
        if (settings->insecure_skip_verify) {
            warn(config.place.value,
                 "\"InsecureSkipVerify\" is true: whoever answers at that address is taken for the plugin");
        } else if (settings->ca_file.empty()) {
            warn(config.place.value,
                 "without \"CAFile\" the plugin's certificate is verified against the system's store (Docker would not "
                 "verify it at all)");
        }
        endpoint.use_tls(*settings);
        return endpoint;
    }

    Result<TlsSettings, Complaint> read_tls(const Member& config) {
        const auto members = pick(*config.value, config.place.members,
                                  {"InsecureSkipVerify", "CAFile", "CertFile", "KeyFile"}, "TLSConfig.");
        if (!members) return fail(members.error());
        const auto& [skip, ca, cert, key] = std::tie((*members)[0], (*members)[1], (*members)[2], (*members)[3]);
        TlsSettings settings;
        if (skip.value != nullptr) {
            if (!skip.value->IsBool()) {
                return fail(not_a("true or false", "TLSConfig.InsecureSkipVerify", skip,
                                  "write true or false, without quotes"));
            }
            settings.insecure_skip_verify = skip.value->GetBool();
        }
        if (auto wrong = read_file_name(ca, "TLSConfig.CAFile", settings.ca_file)) return fail(std::move(*wrong));
        if (auto wrong = read_file_name(cert, "TLSConfig.CertFile", settings.cert_file)) return fail(std::move(*wrong));
        if (auto wrong = read_file_name(key, "TLSConfig.KeyFile", settings.key_file)) return fail(std::move(*wrong));
        if (settings.cert_file.empty() != settings.key_file.empty()) {
            const std::string_view missing = settings.cert_file.empty() ? "CertFile" : "KeyFile";
            const std::string_view present = settings.cert_file.empty() ? "KeyFile" : "CertFile";
            return fail(Complaint{config.place.value,
                                  fmt::format("\"TLSConfig\" has a \"{}\" but no \"{}\"", present, missing),
                                  fmt::format("add \"{}\", or remove \"{}\"", missing, present)});
        }
        return settings;
    }

    static std::optional<Complaint> read_file_name(const Member& member, std::string_view name, std::string& into) {
        const std::string remedy = "write the absolute path of a PEM file";
        if (member.value == nullptr) return std::nullopt;
        if (!member.value->IsString()) return not_a("a string", name, member, remedy);
        const std::string_view path = text_of(*member.value);
        const auto is_control = [](char c) { return (c >= '\0' && c < ' ') || c == '\x7f'; };
        if (!path.empty() && path.front() != '/') return not_a("an absolute path", name, member, remedy);
        if (std::any_of(path.begin(), path.end(), is_control))
            return not_a("a path: it contains a control character", name, member, remedy);
        into = path;
        return std::nullopt;
    }

    PluginDefinition definition_;
    std::string_view text_;
};

}  // namespace

PluginDefinition parse_json_text(const std::string& name, const std::string& file, std::string_view text) {
    return JsonDefinition{name, file, text}.read();
}

}  // namespace brokerd

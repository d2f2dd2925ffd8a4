#include "common/plugin_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/json_members.h"

namespace brokerd {
namespace {

using Time = std::chrono::system_clock::time_point;

void write_time(JsonWriter& writer, std::string_view key, Time time) {
    if (time != Time{}) write_member(writer, key, format_time(time));
}

Time time_member(const rapidjson::Value& object, const char* key) {
    return parse_time(string_member(object, key));
}

std::optional<PluginView::Tls> tls_member(const rapidjson::Value& object) {
    const rapidjson::Value* tls = member(object, "TLS");
    if (tls == nullptr || !tls->IsObject()) return std::nullopt;
    const rapidjson::Value* certificate = member(*tls, "ClientCertificate");
    return PluginView::Tls{string_member(*tls, "Verify"),
                           certificate != nullptr && certificate->IsBool() && certificate->GetBool()};
}

std::vector<PluginView::Shadow> shadows_member(const rapidjson::Value& object) {
    std::vector<PluginView::Shadow> shadows;
    const rapidjson::Value* array = member(object, "Shadows");
    if (array == nullptr || !array->IsArray()) return shadows;
    for (const auto& item : array->GetArray()) {
        if (item.IsObject()) shadows.push_back({string_member(item, "File"), string_member(item, "Reason")});
    }
    return shadows;
}

void write_leases(JsonWriter& writer, const std::vector<LeaseHolder>& leases) {
    writer.StartArray();
    for (const LeaseHolder& lease : leases) {
        writer.StartObject();
        write_key(writer, "Pid");
        writer.Int(lease.pid);
        write_member(writer, "Command", lease.command);
        write_time(writer, "Since", lease.since);
        writer.EndObject();
    }
    writer.EndArray();
}

std::vector<LeaseHolder> leases_member(const rapidjson::Value& object) {
    std::vector<LeaseHolder> leases;
    const rapidjson::Value* array = member(object, "Leases");
    if (array == nullptr || !array->IsArray()) return leases;
    for (const auto& item : array->GetArray()) {
        const rapidjson::Value* pid = member(item, "Pid");
        leases.push_back({pid != nullptr && pid->IsInt() ? pid->GetInt() : 0, string_member(item, "Command"),
                          time_member(item, "Since")});
    }
    return leases;
}

/// A text that is read from left to right; once something does not fit, every later step fails too.
class Reader {
public:
    explicit Reader(std::string_view text) noexcept : rest_{text} {}

    [[nodiscard]] bool literal(char expected) {
        if (rest_.empty() || rest_.front() != expected) return false;
        rest_.remove_prefix(1);
        return true;
    }
    /// Exactly `digits` decimal digits.
    [[nodiscard]] bool number(std::size_t digits, unsigned& value) {
        if (rest_.size() < digits || rest_.substr(0, digits).find_first_not_of("0123456789") != rest_.npos)
            return false;
        std::from_chars(rest_.data(), rest_.data() + digits, value);
        rest_.remove_prefix(digits);
        return true;
    }
    /// A fraction of a second, one to nine digits, as nanoseconds.
    [[nodiscard]] bool fraction(unsigned& nanoseconds) {
        const std::size_t digits = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
        if (digits < 1 || digits > 9 || !number(digits, nanoseconds)) return false;
        for (std::size_t i = digits; i < 9; ++i) nanoseconds *= 10;
        return true;
    }
    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

private:
    std::string_view rest_;
};

}  // namespace

void write_json(JsonWriter& writer, const PluginView& view) {
    writer.StartObject();
    write_member(writer, "Name", view.name);
    write_member(writer, "Kind", view.kind);
    write_member(writer, "State", view.state);
    write_key(writer, "Implements");
    write_strings(writer, view.implements);
    write_member(writer, "Endpoint", view.endpoint);
    write_member(writer, "Definition", view.definition);
    write_key(writer, "Published");
    write_strings(writer, view.published);
    write_member(writer, "Reason", view.reason);
    write_time(writer, "Since", view.since);
    write_key(writer, "Attempts");
    writer.Uint(view.attempts);
    write_time(writer, "NextAttempt", view.next_attempt);
    if (view.tls) {
        write_key(writer, "TLS");
        writer.StartObject();
        write_member(writer, "Verify", view.tls->verify);
        write_key(writer, "ClientCertificate");
        writer.Bool(view.tls->client_certificate);
        writer.EndObject();
    }
    write_key(writer, "Warnings");
    write_strings(writer, view.warnings);
    write_key(writer, "Shadows");
    writer.StartArray();
    for (const PluginView::Shadow& shadow : view.shadows) {
        writer.StartObject();
        write_member(writer, "File", shadow.file);
        write_member(writer, "Reason", shadow.reason);
        writer.EndObject();
    }
    writer.EndArray();
    write_key(writer, "Leases");
    write_leases(writer, view.leases);
    if (view.enabled) {
        write_member(writer, "Id", view.id);
        write_member(writer, "Reference", view.reference);
        write_member(writer, "Description", view.description);
        write_key(writer, "Enabled");
        writer.Bool(*view.enabled);
        write_key(writer, "Limits");
        write_limits(writer, view.limits);
        write_key(writer, "Restarts");
        writer.Uint(view.restarts);
        write_member(writer, "LastExit", view.last_exit);
        write_key(writer, "Pid");
        writer.Int(view.pid);
    }
    writer.EndObject();
}

void write_json(JsonWriter& writer, const PluginEvent& event) {
    writer.StartObject();
    write_key(writer, "Sequence");
    writer.Uint64(event.sequence);
    write_time(writer, "Time", event.time);
    write_member(writer, "Action", event.action);
    write_member(writer, "Plugin", event.plugin);
    write_member(writer, "Kind", event.kind);
    write_key(writer, "Implements");
    write_strings(writer, event.implements);
    write_member(writer, "Detail", event.detail);
    writer.EndObject();
}

void write_json(JsonWriter& writer, const Finding& finding) {
    writer.StartObject();
    write_member(writer, "Plugin", finding.plugin);
    write_member(writer, "Severity", finding.severity);
    write_member(writer, "Problem", finding.problem);
    write_member(writer, "File", finding.file);
    write_member(writer, "Cause", finding.cause);
    write_member(writer, "Remedy", finding.remedy);
    writer.EndObject();
}

PluginView plugin_view_from_json(const rapidjson::Value& value) {
    PluginView view;
    view.name = string_member(value, "Name");
    view.kind = string_member(value, "Kind");
    view.state = string_member(value, "State");
    view.implements = strings_of(member(value, "Implements"));
    view.endpoint = string_member(value, "Endpoint");
    view.definition = string_member(value, "Definition");
    view.published = strings_of(member(value, "Published"));
    view.reason = string_member(value, "Reason");
    view.since = time_member(value, "Since");
    const rapidjson::Value* attempts = member(value, "Attempts");
    view.attempts = attempts != nullptr && attempts->IsUint() ? attempts->GetUint() : 0;
    view.next_attempt = time_member(value, "NextAttempt");
    view.tls = tls_member(value);
    view.warnings = strings_of(member(value, "Warnings"));
    view.shadows = shadows_member(value);
    view.leases = leases_member(value);
    view.id = string_member(value, "Id");
    view.reference = string_member(value, "Reference");
    view.description = string_member(value, "Description");
    const rapidjson::Value* enabled = member(value, "Enabled");
    if (enabled != nullptr && enabled->IsBool()) view.enabled = enabled->GetBool();
    if (const rapidjson::Value* limits = member(value, "Limits")) {
        if (const auto read = read_limits(*limits)) view.limits = read->applied_to({});
    }
    const rapidjson::Value* restarts = member(value, "Restarts");
    view.restarts = restarts != nullptr && restarts->IsUint() ? restarts->GetUint() : 0;
    view.last_exit = string_member(value, "LastExit");
    const rapidjson::Value* pid = member(value, "Pid");
    view.pid = pid != nullptr && pid->IsInt() ? pid->GetInt() : 0;
    return view;
}

PluginEvent plugin_event_from_json(const rapidjson::Value& value) {
    PluginEvent event;
    const rapidjson::Value* sequence = member(value, "Sequence");
    event.sequence = sequence != nullptr && sequence->IsUint64() ? sequence->GetUint64() : 0;
    event.time = time_member(value, "Time");
    event.action = string_member(value, "Action");
    event.plugin = string_member(value, "Plugin");
    event.kind = string_member(value, "Kind");
    event.implements = strings_of(member(value, "Implements"));
    event.detail = string_member(value, "Detail");
    return event;
}

Finding finding_from_json(const rapidjson::Value& value) {
    return {string_member(value, "Plugin"), string_member(value, "Severity"), string_member(value, "Problem"),
            string_member(value, "File"),   string_member(value, "Cause"),    string_member(value, "Remedy")};
}

std::string format_time(Time time) {
    if (time == Time{}) return {};
    namespace chrono = std::chrono;
    const auto day = chrono::floor<chrono::days>(time);
    const chrono::year_month_day date{day};
    const chrono::hh_mm_ss clock{chrono::duration_cast<chrono::nanoseconds>(time - day)};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

Time parse_time(std::string_view text) {
    namespace chrono = std::chrono;
    unsigned year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, nanoseconds = 0;
    Reader reader{text};
    if (!reader.number(4, year) || !reader.literal('-') || !reader.number(2, month) || !reader.literal('-') ||
        !reader.number(2, day) || !reader.literal('T') || !reader.number(2, hour) || !reader.literal(':') ||
        !reader.number(2, minute) || !reader.literal(':') || !reader.number(2, second)) {
        return {};
    }
    if (reader.literal('.') && !reader.fraction(nanoseconds)) return {};
    if (!reader.literal('Z') || !reader.at_end()) return {};
    // system_clock counts nanoseconds in 64 bits, which end in the year 2262.
    constexpr unsigned kFirstYear = 1970, kLastYear = 2261;
    const chrono::year_month_day date{chrono::year{static_cast<int>(year)}, chrono::month{month}, chrono::day{day}};
    if (year < kFirstYear || year > kLastYear || !date.ok() || hour > 23 || minute > 59 || second > 60) return {};
    return chrono::sys_days{date} + chrono::hours{hour} + chrono::minutes{minute} + chrono::seconds{second} +
           chrono::nanoseconds{nanoseconds};
}

}  // namespace brokerd

#include "daemon/config/settings_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "common/os/path_trust.h"
#include "common/plugin_name.h"
#include "common/secrets.h"

namespace brokerd {
namespace {

void drop_comment(std::string& line) {
    line.erase(std::min(line.find('#'), line.size()));
    CLI::detail::trim(line);
}

/// Whether a list begins here that goes on in the next line. CLI11 sees such lists, too, but not every form.
bool is_open_list(std::string line) {
    if (line.front() == ';') return false;
    drop_comment(line);
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos) return false;
    std::string value = line.substr(equals + 1);
    CLI::detail::trim(value);
    return !value.empty() && value.front() == '[' && (value.size() == 1 || value.back() != ']');
}

/// Whether a complaint of CLI11's is about `setting`: it begins with that, or has the flag somewhere, and as a whole:
/// "--activation" does not stand in "--activation-timeout".
bool is_about(const std::string& text, const std::string& setting) {
    if (text.starts_with(setting + ": ")) return true;
    const std::string flag = "--" + setting;
    const std::size_t at = text.find(flag);
    if (at == std::string::npos) return false;
    const std::size_t end = at + flag.size();
    return end == text.size() || (text[end] != '-' && (text[end] < 'a' || text[end] > 'z'));
}

/// Why somebody else than root, or our own user, has a say in what the file says; empty: nobody has. It names a program
/// that is run as root, among other things.
std::string distrust_of(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return {};  // /dev/null says nothing
    const std::string shown = escaped(path, path.size());
    if (status.st_uid != 0 && status.st_uid != ::geteuid())
        return fmt::format("{0} belongs to user {1}, not to root; chown root:root {0}", shown, status.st_uid);
    if (others_can_write(status)) {
        return fmt::format("{0} can be written by others than its owner (mode {1:04o}); chmod go-w {0}", shown,
                           status.st_mode & 07777U);
    }
    const auto place = path.starts_with('/') ? find_untrusted(path) : std::nullopt;
    return place ? fmt::format("{} cannot be believed: {}; {}", shown, place->reason, place->remedy) : std::string{};
}

}  // namespace

std::string SettingsFile::at(unsigned line) const {
    return fmt::format("{}:{}: ", escaped(app_.get_config_ptr()->as<std::string>()), line);
}

std::vector<CLI::ConfigItem> SettingsFile::from_config(std::istream& input) const {
    places_.clear();
    if (const std::string why = distrust_of(app_.get_config_ptr()->as<std::string>()); !why.empty())
        throw CLI::ConfigError{why};
    std::vector<CLI::ConfigItem> merged;
    std::string text;
    for (unsigned line = 1; std::getline(input, text); ++line) {
        CLI::detail::trim(text);
        if (text.empty()) continue;
        const unsigned first = line;
        if (is_open_list(text)) {
            drop_comment(text);
            for (std::string more; text.back() != ']' && std::getline(input, more); ++line) {
                drop_comment(more);
                text += more;
            }
            if (text.back() != ']') throw CLI::ConfigError{at(first) + "the list that begins here has no end; add a ]"};
        }
        add(std::move(text), first, merged);
        text.clear();
    }
    return merged;
}

void SettingsFile::add(std::string text, unsigned line, std::vector<CLI::ConfigItem>& merged) const {
    const bool is_comment = text.front() == '#' || text.front() == ';';
    if (!is_comment && text.size() < 3) {  // CLI11 would pass over it
        throw CLI::ConfigError{fmt::format("{}\"{}\" is not a setting; write NAME = VALUE", at(line), escaped(text))};
    }
    std::istringstream one{std::move(text)};
    for (CLI::ConfigItem& item : CLI::ConfigBase::from_config(one)) {
        check(item, line);
        places_.push_back({item.name, line, item.inputs});
        const auto same = std::find_if(merged.begin(), merged.end(),
                                       [&](const CLI::ConfigItem& earlier) { return earlier.name == item.name; });
        if (same == merged.end()) {
            merged.push_back(std::move(item));
        } else {
            same->inputs.insert(same->inputs.end(), item.inputs.begin(), item.inputs.end());
        }
    }
}

void SettingsFile::check(const CLI::ConfigItem& item, unsigned line) const {
    const bool is_section = item.name == "++" || item.name == "--";
    if (is_section) {
        throw CLI::ConfigError{
            fmt::format("{}settings stand without sections; remove the line [{}]", at(line),
                        escaped(shown_address(fmt::format("{}", fmt::join(item.parents, "."))), 60))};
    }
    const CLI::Option* const option = app_.get_option_no_throw("--" + item.name);
    if (!item.parents.empty() || option == nullptr || !option->get_configurable()) {
        throw CLI::ConfigError{
            fmt::format("{}\"{}\" is not a setting; settings have the names of the flags, without the dashes", at(line),
                        escaped(shown_address(item.fullname()), 60))};
    }
}

std::string SettingsFile::place_of(const std::string& complaint,
                                   const std::function<bool(const std::string&)>& counts) const {
    const Place* found = nullptr;
    for (const Place& place : places_) {
        if (!is_about(complaint, place.setting) || !counts(place.setting)) continue;
        const auto is_named = [&](const std::string& value) { return complaint.find(value) != std::string::npos; };
        const bool has_value = std::any_of(place.values.begin(), place.values.end(), is_named);
        if (found == nullptr || has_value) found = &place;
    }
    return found == nullptr ? std::string{} : at(found->line);
}

}  // namespace brokerd

#include "daemon/discovery/search_order.h"

#include <algorithm>
#include <array>

namespace brokerd {
namespace {

constexpr std::size_t kSocketRoot = 0;
constexpr std::string_view kSocketExtension = ".sock";
/// In the order in which Docker tries them.
constexpr std::array<std::string_view, 2> kSpecExtensions{".spec", ".json"};

/// dockerd keeps the sockets of its managed plugins in directories named by their IDs; those are its own business.
bool is_managed_plugin_id(std::string_view name) {
    constexpr std::size_t kIdDigits = 64;
    const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    return name.size() == kIdDigits && std::all_of(name.begin(), name.end(), is_hex);
}

/// The extension that makes a file count below `root`; empty where it does not count.
std::string_view extension_of(std::size_t root, std::string_view file_name) {
    if (file_name.starts_with('.')) return {};
    const auto has = [&](std::string_view extension) {
        return file_name.size() > extension.size() && file_name.ends_with(extension);
    };
    if (root == kSocketRoot) return has(kSocketExtension) ? kSocketExtension : std::string_view{};
    const auto* const found = std::find_if(kSpecExtensions.begin(), kSpecExtensions.end(), has);
    return found == kSpecExtensions.end() ? std::string_view{} : *found;
}

/// "a/b/a/b" is how a plugin "a/b" looks in a directory of its own.
std::string_view without_own_directory(std::string_view stem) {
    const std::size_t middle = stem.size() / 2;
    if (stem.size() % 2 == 0 || stem[middle] != '/') return stem;
    return stem.substr(0, middle) == stem.substr(middle + 1) ? stem.substr(0, middle) : stem;
}

std::string without_trailing_slashes(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
}

}  // namespace

SearchOrder::SearchOrder(const std::string& engine_socket_directory, const std::vector<std::string>& spec_directories)
    : roots_{without_trailing_slashes(engine_socket_directory)} {
    for (const std::string& directory : spec_directories) {
        std::string root = without_trailing_slashes(directory);
        // Written twice, a directory would shadow itself.
        if (std::find(roots_.begin() + 1, roots_.end(), root) == roots_.end()) roots_.push_back(std::move(root));
    }
}

std::string SearchOrder::absolute(const EntryPath& path) const {
    return path.relative.empty() ? roots_[path.root] : roots_[path.root] + '/' + path.relative;
}

std::vector<SearchOrder::Candidate> SearchOrder::candidates(std::string_view name) const {
    using Source = PluginDefinition::Source;
    const std::string flat{name};
    const std::string nested = flat + '/' + flat;
    // "b/b.spec" is where a plugin "b" may be, and so is not looked at for one called "b/b".
    const bool flat_is_anothers = without_own_directory(name) != name;
    std::vector<Candidate> found;
    const auto add = [&](std::size_t root, std::string_view extension, Source source) {
        if (!flat_is_anothers) found.push_back({{root, flat + std::string{extension}}, source});
        found.push_back({{root, nested + std::string{extension}}, source});
    };
    add(kSocketRoot, kSocketExtension, Source::socket);
    for (std::size_t root = kSocketRoot + 1; root < roots_.size(); ++root) {
        add(root, kSpecExtensions[0], Source::spec);
        add(root, kSpecExtensions[1], Source::json);
    }
    return found;
}

std::optional<std::string> SearchOrder::name_of(const EntryPath& path) const {
    const std::string_view text = path.relative;
    for (std::size_t start = 0; start <= text.size();) {
        if (text.substr(start).starts_with('.')) return std::nullopt;
        start = std::min(text.find('/', start), text.size()) + 1;
    }
    const std::size_t slash = text.rfind('/');
    const std::string_view file_name = slash == std::string_view::npos ? text : text.substr(slash + 1);
    const std::string_view extension = extension_of(path.root, file_name);
    if (extension.empty()) return std::nullopt;
    return std::string{without_own_directory(text.substr(0, text.size() - extension.size()))};
}

bool SearchOrder::may_define(std::size_t root, std::string_view file_name) {
    return !extension_of(root, file_name).empty();
}

bool SearchOrder::may_enter(std::size_t root, std::string_view directory_name) {
    return !directory_name.starts_with('.') && !(root == kSocketRoot && is_managed_plugin_id(directory_name));
}

}  // namespace brokerd

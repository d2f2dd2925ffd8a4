#include "common/enumeration.h"

#include <fmt/format.h>

namespace brokerd {

std::string enumeration(const std::vector<std::string>& items, std::size_t limit) {
    const bool all = items.size() <= limit;
    const std::size_t named = all ? items.size() : limit;
    std::string text;
    for (std::size_t i = 0; i < named; ++i) {
        if (i != 0) text += all && i + 1 == named ? " and " : ", ";
        text += items[i];
    }
    if (!all) text += fmt::format(" and {} more", items.size() - named);
    return text;
}

}  // namespace brokerd

#include "cli/output/format.h"

#include "cli/output/table.h"

namespace brokerd::cli {

Result<Format> Format::parse(std::string_view text, std::span<const std::string_view> fields,
                             Template::ListStyle style) {
    constexpr std::string_view kTable = "table ";
    Format format;
    if (text.empty() || text == "table") return format;
    format.kind_ = text == "json" ? Kind::json : text.substr(0, kTable.size()) == kTable ? Kind::table : Kind::lines;
    if (format.kind_ == Kind::json) text = "{{json .}}";
    if (format.kind_ == Kind::table) text.remove_prefix(kTable.size());
    auto parsed = Template::parse(text, fields, style);
    if (!parsed) return fail(parsed.error());
    format.template_ = std::move(*parsed);
    return format;
}

std::string Format::line(const rapidjson::Value& object) const {
    return template_.apply(object) + '\n';
}

std::string Format::lines(std::span<const rapidjson::Document> objects) const {
    if (kind_ == Kind::table) {
        std::vector<std::vector<std::string>> rows{cells(template_.heading())};
        std::size_t bytes = 0;
        for (const auto& object : objects) {
            const std::string row = template_.apply(object);
            Template::check_size(bytes += row.size());
            rows.push_back(cells(row));
        }
        return aligned(rows);
    }
    std::string out;
    for (const auto& object : objects) {
        out += line(object);
        Template::check_size(out.size());
    }
    return out;
}

}  // namespace brokerd::cli

// Templates of --format, filled in from what the daemon says: cli/output/template.h. The input: a template and, behind
// "%%", a JSON object.
#include "cli/output/template.h"

#include <stdexcept>

#include "cli/output/printable.h"
#include "common/json.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::format_template_target {

void try_input(std::string_view input) {
    using cli::Template;
    static constexpr std::string_view kFields[] = {"Name", "Enabled", "Config.*", "Size", "List"};
    const auto parts = parts_of(input, 2);
    for (const auto style : {Template::ListStyle::commas, Template::ListStyle::brackets}) {
        const auto filled = Template::parse(parts[0], kFields, style);
        if (!filled) {
            // It quotes the user's own words, and is made printable where it is printed (cli/pluginctl.cpp,
            // session.cpp).
            expect(!filled.error().message.empty(), "an error says what is wrong");
            continue;
        }
        static_cast<void>(filled->heading());
        const auto object = parse_json(parts[1].empty() ? "{}" : parts[1]);
        if (!object || !object->IsObject() || is_deep(parts[1])) continue;
        try {
            const std::string text = filled->apply(*object);
            expect(filled->apply(*object) == text, "a template makes the same of the same");
            // Its own text may be anything, also by escapes; that of the object may not.
            if (is_printable_line(parts[0]) && parts[0].find_first_of("\\%") == std::string::npos)
                expect(cli::printable_lines(text) == text, "what comes of the object can be shown", text);
        } catch (const std::length_error& error) {
            expect_sentence(error.what());
        }
    }
}

}  // namespace brokerd::fuzz::format_template_target

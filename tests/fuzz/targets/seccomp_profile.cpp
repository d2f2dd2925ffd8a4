// System call filters: daemon/bundle/seccomp_profile.h.
#include "daemon/bundle/seccomp_profile.h"

#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::seccomp_profile_target {

void try_input(std::string_view input) {
    const auto profile = SeccompProfile::parse(input, "/p.json");
    if (!profile) return expect_sentence(profile.error().message);
    for (const SeccompFacts& facts :
         {SeccompFacts{{}, "amd64", {6, 1}}, SeccompFacts{{"CAP_SYS_ADMIN"}, "arm64", {4, 4}}}) {
        const std::string text = json_text([&](JsonWriter& writer) { profile->write(writer, facts); });
        const auto written = parse_json(text);
        expect(written && written->IsObject() && written->HasMember("defaultAction"), "a filter is JSON", text);
        // What is resolved has no conditions left: it is the same for everybody. Where no rule is left either, that is
        // a filter, but none that an operator may mean.
        if ((*written)["syscalls"].Empty()) continue;
        const auto again = SeccompProfile::parse(text, "/p.json");
        expect(static_cast<bool>(again), "a resolved filter is a profile", text);
        const std::string twice = json_text([&](JsonWriter& writer) { again->write(writer, {{}, "s390x", {1, 0}}); });
        expect(twice == text, "a resolved filter stays as it is", text);
    }
}

}  // namespace brokerd::fuzz::seccomp_profile_target

// What a registry says of who may do what: daemon/registry/auth_challenge.h, registry_reply.h. The input: the field
// WWW-Authenticate and, behind "%%", the field Retry-After and the body of an error.
#include "daemon/registry/auth_challenge.h"

#include <algorithm>

#include "daemon/http/characters.h"
#include "daemon/registry/registry_reply.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::auth_challenge_target {
namespace {

bool is_token(std::string_view text) {
    return !text.empty() && span_of(text, kTokenCharacter) == text.size();
}

std::string quoted(std::string_view value) {
    std::string out{'"'};
    for (const char c : value) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::string written(const std::vector<AuthChallenge>& challenges) {
    std::string out;
    for (const AuthChallenge& challenge : challenges) {
        out += (out.empty() ? "" : ", ") + challenge.scheme;
        const char* separator = " ";
        for (const auto& [name, value] : challenge.params) {
            out.append(separator).append(name).append("=").append(quoted(value));
            separator = ", ";
        }
    }
    return out;
}

void try_challenges(const std::string& text) {
    const auto challenges = parse_challenges(text);
    if (!challenges) return;
    expect(!challenges->empty() && challenges->size() <= 8 && text.size() <= 8192, "challenges keep to their limits");
    for (const AuthChallenge& challenge : *challenges) {
        expect(is_token(challenge.scheme), "a scheme is a token", challenge.scheme);
        expect(challenge.params.size() <= 16, "parameters keep to their limit");
        for (const auto& [name, value] : challenge.params) {
            expect(is_token(name) && is_field_value(value), "a parameter is a token with a value", name);
            expect(challenge.param(name) == value, "no parameter is there twice", name);
        }
    }
    // A challenge of one parameter that looks like a token68 is written in another form than it came, but it means the
    // same.
    const std::string text_again = written(*challenges);
    const auto again = parse_challenges(text_again);
    expect(text_again.size() > 8192 || again.has_value(), "challenges that are written can be read", text_again);
    if (!again) return;
    expect(std::equal(challenges->begin(), challenges->end(), again->begin(), again->end(),
                      [](const AuthChallenge& a, const AuthChallenge& b) {
                          return a.scheme == b.scheme && a.params == b.params;
                      }),
           "challenges are read as themselves", text_again);
}

void try_error(const std::string& challenge, const std::string& retry_after, const std::string& body) {
    for (const unsigned status : {400U, 401U, 403U, 404U, 429U, 503U}) {
        HttpAnswer answer{status, std::nullopt, {}};
        answer.fields.emplace_back("WWW-Authenticate", challenge);
        answer.fields.emplace_back("Retry-After", retry_after);
        const RegistryError error = error_of(answer, body, "registry:5000", status == 401);
        expect_sentence(error.message);
        expect(error.retry_after >= std::chrono::milliseconds{0} && error.retry_after <= std::chrono::hours{24},
               "a registry cannot make anyone wait longer than a day");
    }
    expect_sentence(printable_reply(body) + '.');
}

}  // namespace

void try_input(std::string_view input) {
    const auto parts = parts_of(input, 3);
    try_challenges(parts[0]);
    try_error(parts[0], parts[1], parts[2]);
}

}  // namespace brokerd::fuzz::auth_challenge_target

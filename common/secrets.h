#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What is shown of texts that may hold secrets: values of plugins' settings, and addresses that people have pasted.
/// For people and their logs, never for what is kept or run. All of it is pure; any thread.
namespace brokerd {

/// Stands in place of a secret.
inline constexpr std::string_view kHidden = "********";

enum class Secrets : std::uint8_t { hidden, shown };

/// Whether a variable or option of this name usually holds a secret: DB_PASSWORD, api-token, AWS_SECRET_ACCESS_KEY,
/// SSHKEY. By its words, which "_", "-", "." and a change to capitals separate; rather once too often. What names a
/// place instead is none: PASSWORD_FILE, TOKEN_PATH.
[[nodiscard]] bool sounds_secret(std::string_view name);

/// `text` with the passwords of all URLs in it (`scheme://user:password@host`) and private keys in PEM hidden. A user
/// name without a password is hidden, too, where it may be a token: everywhere but in ssh://.
[[nodiscard]] std::string without_secrets(std::string_view text);

/// `address` is one, whatever stands in it, or was meant to be: "user:password@host" without its scheme, too.
[[nodiscard]] std::string shown_address(std::string_view address);

/// "NAME=value" as it is shown: nothing of the value where the name sounds secret, else without_secrets().
[[nodiscard]] std::string shown_variable(std::string_view variable);

/// A command's words as they are shown: `--password=x`, `PASSWORD=x`, and what follows `--password`.
[[nodiscard]] std::vector<std::string> shown_arguments(const std::vector<std::string>& arguments);

/// Whether `value` is what is shown in place of a secret, or has such a part: somebody writes back what they have read.
[[nodiscard]] bool is_shown_secret(std::string_view value);

/// `text`, which somebody else wrote who was told `secrets`, with each of them hidden that is longer than three bytes:
/// what is shorter is found everywhere.
[[nodiscard]] std::string without(std::string text, const std::vector<std::string>& secrets);

}  // namespace brokerd

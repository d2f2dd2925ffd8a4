#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json.h"
#include "common/letter_case.h"
#include "daemon/managed/nullable_list.h"
#include "daemon/managed/plugin_config.h"

namespace brokerd {

/// Ours: far beyond any real config, and small enough that nothing grows without bound. The kernel takes no longer
/// argument or variable than 128 KiB (MAX_ARG_STRLEN).
inline constexpr std::size_t kMaxConfigText = std::size_t{128} << 10;
inline constexpr std::size_t kMaxConfigItems = 4096;

/// One value of a document that is being read by Go's rules: members match whatever their case, and null is absence.
/// The first error of the whole document is noted, with its place, and reading goes on without effect on it: who reads
/// asks for the error once, at the end. Borrows document and note. One thread.
class JsonField {
public:
    /// The document itself.
    JsonField(const rapidjson::Value& value, std::optional<ConfigError>& first_error);

    /// Absent or null.
    [[nodiscard]] bool missing() const noexcept { return value_ == nullptr; }
    [[nodiscard]] const rapidjson::Value* value() const noexcept { return value_; }

    /// This value as an object: refused if it is none, or if a member stands there twice. Once, before member().
    void expect_object() const;
    /// The member `name`, spelled as Docker's document does; missing where this value is no object.
    [[nodiscard]] JsonField member(std::string_view name) const;

    /// Each leaves `out` as it is where the value is missing.
    void read(std::string& out) const;
    void read(std::optional<std::string>& out) const;
    void read(bool& out) const;
    void read(std::uint32_t& out) const;
    void read(NullableList<std::string>& out) const;

    /// The elements of an array, or nothing where it is missing.
    [[nodiscard]] std::vector<JsonField> elements() const;
    [[nodiscard]] bool is_list() const noexcept { return value_ != nullptr && value_->IsArray(); }

    void refuse(std::string message) const;

private:
    JsonField(const rapidjson::Value* value, std::string pointer, std::optional<ConfigError>& first_error);

    [[nodiscard]] bool take_text(std::string& out) const;

    const rapidjson::Value* value_;
    std::string pointer_;
    std::optional<ConfigError>* first_error_;
};

/// Whether RapidJSON reads all of `text`: it takes a NUL byte for the end and skips a byte order mark, and neither may
/// get into a file of ours, where more JSON follows.
[[nodiscard]] bool is_plain_text(std::string_view text) noexcept;

/// The name of a member that `object` has twice, in any case; empty: none.
[[nodiscard]] std::string repeated_member(const rapidjson::Value& object);

}  // namespace brokerd

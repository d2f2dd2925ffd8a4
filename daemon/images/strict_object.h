#pragma once

#include <rapidjson/document.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/digest.h"
#include "common/letter_case.h"
#include "common/result.h"

namespace brokerd {

/// A JSON object that every reader understands alike, as a manifest must be: it has no two members whose names differ
/// in nothing but case (Go's readers, and so Docker, take either for the other; and the last of several).
/// The functions fail with a sentence's second half that begins with the JSON pointer of what is wrong.
/// Lifetime: borrows the value.
class StrictObject {
public:
    /// `pointer` is where `value` stands in its document, "" for the root.
    [[nodiscard]] static Result<StrictObject> of(const rapidjson::Value& value, std::string pointer);

    /// Null where it is missing or null.
    [[nodiscard]] const rapidjson::Value* find(std::string_view name) const;
    /// "" where it is missing.
    [[nodiscard]] Result<std::string> text(std::string_view name) const;
    [[nodiscard]] Result<Digest> digest(std::string_view name) const;
    /// Must be there, and at most `limit`.
    [[nodiscard]] Result<std::uint64_t> size(std::string_view name, std::uint64_t limit) const;
    /// An object of texts; empty where it is missing.
    [[nodiscard]] Result<std::map<std::string, std::string>> texts(std::string_view name) const;

    [[nodiscard]] std::string pointer_to(std::string_view name) const;

private:
    StrictObject(const rapidjson::Value& value, std::string pointer) noexcept
        : value_{&value}, pointer_{std::move(pointer)} {}

    const rapidjson::Value* value_;
    std::string pointer_;
};

}  // namespace brokerd

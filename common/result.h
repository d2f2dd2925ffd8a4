#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace brokerd {

/// A failure that is told to a person: one sentence that says what failed, why, and what to do about it.
struct Error {
    std::string message;
};

/// Wraps an error on its way into a Result: `return fail(Error{"…"})`.
template <class E>
struct Failure {
    E error;
};

template <class E>
[[nodiscard]] Failure<E> fail(E error) {
    return {std::move(error)};
}

[[nodiscard]] inline Failure<Error> fail(std::string message) {
    return {Error{std::move(message)}};
}

/// Also for literals, which the template above would otherwise take as they are.
[[nodiscard]] inline Failure<Error> fail(const char* message) {
    return {Error{message}};
}

/// What an operation yields when its caller must decide on the failure: a T, or the E that says why there is none.
/// Ours because C++20 has no std::expected. Failures that nobody planned for are exceptions instead.
template <class T, class E = Error>
class [[nodiscard]] Result {
public:
    Result(T value) : state_{std::in_place_index<0>, std::move(value)} {}
    Result(Failure<E> failure) : state_{std::in_place_index<1>, std::move(failure.error)} {}

    explicit operator bool() const noexcept { return state_.index() == 0; }

    /// Precondition for the four below: the result holds a value.
    T& operator*() & { return std::get<0>(state_); }
    const T& operator*() const& { return std::get<0>(state_); }
    T&& operator*() && { return std::get<0>(std::move(state_)); }
    T* operator->() { return &std::get<0>(state_); }
    const T* operator->() const { return &std::get<0>(state_); }

    /// Precondition: the result holds an error.
    [[nodiscard]] const E& error() const {
        assert(state_.index() == 1);
        return std::get<1>(state_);
    }

private:
    std::variant<T, E> state_;
};

}  // namespace brokerd

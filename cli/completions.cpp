#include "cli/completions.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>

#include "cli/command_table.h"
#include "cli/help/help_page.h"

namespace brokerd::cli {
namespace {

bool is_plain_name(const std::string& name) {
    constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/:@+-";
    return !name.empty() && name.front() != '-' && name.find_first_not_of(kPlain) == std::string::npos;
}

/// Collects what begins as the last word does.
class Offers {
public:
    explicit Offers(std::string begun) : begun_{std::move(begun)} {}

    void add(const std::string& word, std::string_view explanation = {}) {
        if (word.compare(0, begun_.size(), begun_) != 0) return;
        text_ += explanation.empty() ? word + '\n' : fmt::format("{}\t{}\n", word, explanation);
    }
    /// Words with blanks between, each behind `prefix`.
    void add_all(std::string_view words, const std::string& prefix = {}) {
        while (!words.empty()) {
            const std::size_t end = std::min(words.find(' '), words.size());
            if (end > 0) add(prefix + std::string{words.substr(0, end)});
            words.remove_prefix(std::min(end + 1, words.size()));
        }
    }
    void files() { text_ = std::string{kFilesMark} + '\n'; }

    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    std::string begun_;
    std::string text_;
};

bool takes_value(const CLI::Option& option) {
    return option.get_items_expected_max() > 0;
}

/// The line up to the last word, read word by word as the program will.
class Line {
public:
    explicit Line(const std::vector<std::string>& words) : last_{words.empty() ? std::string{} : words.back()} {
        app_.set_help_flag("-h,--help");
        host_option_ = app_.add_option("-H,--host");
        host_option_->description("unix:///run/brokerd/control.sock ssh://");
        for (std::size_t i = 0; i + 1 < words.size(); ++i) take(words[i]);
    }

    std::string offers(const NamesOf& names_of) {
        Offers out{last_};
        const std::size_t equals = last_.find('=');
        if (awaiting_ != nullptr) {
            offer_values(out, *awaiting_, {});
        } else if (!ended_ && last_.substr(0, 2) == "--" && equals != std::string::npos) {
            const CLI::Option* option = find(last_.substr(0, equals));
            if (option != nullptr && takes_value(*option)) offer_values(out, *option, last_.substr(0, equals + 1));
        } else if (!ended_ && last_.substr(0, 1) == "-") {
            offer_flags(out);
        } else if (command_ == nullptr) {
            for (const Command& command : command_table()) out.add(std::string{command.name}, summary(command.help));
        } else {
            offer_argument(out, names_of);
        }
        return out.take();
    }

private:
    void take(const std::string& word) {
        if (awaiting_ != nullptr) {
            if (awaiting_ == host_option_) host_ = word;
            awaiting_ = nullptr;
        } else if (word == "--") {
            ended_ = true;
        } else if (!ended_ && word.size() > 1 && word.front() == '-') {
            take_flag(word);
        } else if (command_ == nullptr) {
            command_ = find_command(word);
            if (command_ != nullptr) (void)command_->declare(app_);
        } else {
            ++arguments_;
        }
    }

    void take_flag(const std::string& word) {
        const std::size_t equals = word.find('=');
        const CLI::Option* option = find(word.substr(0, equals));
        if (option == nullptr || !takes_value(*option)) return;
        if (equals == std::string::npos)
            awaiting_ = option;
        else if (option == host_option_)
            host_ = word.substr(equals + 1);
    }

    [[nodiscard]] const CLI::Option* find(const std::string& flag) const { return app_.get_option_no_throw(flag); }

    static void offer_values(Offers& out, const CLI::Option& option, const std::string& prefix) {
        if (option.get_description() == kFileWords)
            out.files();
        else
            out.add_all(option.get_description(), prefix);
    }

    void offer_flags(Offers& out) const {
        for (const CLI::Option* option : app_.get_options()) {
            for (const std::string& name : option->get_snames()) out.add("-" + name);
            for (const std::string& name : option->get_lnames()) out.add("--" + name);
        }
        if (command_ == nullptr) out.add("--version");
    }

    void offer_argument(Offers& out, const NamesOf& names_of) const {
        switch (command_->completion) {
            case Completion::plugin_names:
                if (arguments_ >= most_names()) return;
                for (const std::string& name : names_of(host_)) {
                    if (is_plain_name(name)) out.add(name);
                }
                return;
            case Completion::files:
                return out.files();
            case Completion::shells:
                if (arguments_ == 0) out.add_all(kShells);
                return;
            case Completion::nothing:
                return;
        }
    }

    /// How many names the command takes: its first argument says so.
    [[nodiscard]] int most_names() const {
        for (const CLI::Option* option : app_.get_options()) {
            if (option->get_positional()) return option->get_items_expected_max();
        }
        return 0;
    }

    CLI::App app_;
    CLI::Option* host_option_ = nullptr;
    std::string last_;
    std::string host_;
    const Command* command_ = nullptr;
    const CLI::Option* awaiting_ = nullptr;  ///< the flag whose value comes next
    bool ended_ = false;                     ///< "--" was there
    int arguments_ = 0;                      ///< of the command so far
};

}  // namespace

std::string completions(const std::vector<std::string>& words, const NamesOf& names_of) {
    return Line{words}.offers(names_of);
}

}  // namespace brokerd::cli

#include "cli/output/template_syntax.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <utility>

#include "cli/output/template_functions.h"
#include "cli/output/template_words.h"

namespace brokerd::cli::template_syntax {
namespace {

/// Ours: deeper nesting of actions or parentheses is no format that a person wrote, and parsing recurses.
constexpr int kMaxDepth = 50;

/// Whether `field` is "Config.*" and `path` something like "Config.Env".
bool is_below(std::string_view path, std::string_view field) {
    if (field.size() < 2 || field.substr(field.size() - 2) != ".*") return false;
    field.remove_suffix(1);
    return path.size() > field.size() && path.substr(0, field.size()) == field;
}

/// Reads the words of one action.
class ActionParser {
public:
    /// `dot_is_object`: the dot is what the fields belong to, not an item of a {{range}} or {{with}}.
    ActionParser(const std::vector<Word>& words, std::span<const std::string_view> fields, bool dot_is_object)
        : words_{words}, fields_{fields}, dot_is_object_{dot_is_object} {}

    [[nodiscard]] bool take_name(std::string_view name) {
        if (word().kind != Word::Kind::name || word().text != name) return false;
        ++at_;
        return true;
    }
    [[nodiscard]] bool at_end() const { return word().kind == Word::Kind::end; }

    Result<Pipeline> whole() {
        auto pipeline = parse_pipeline(0);
        if (pipeline && !at_end()) return fail("there is something behind an action's end in the format");
        return pipeline;
    }

private:
    using Kind = Word::Kind;

    [[nodiscard]] const Word& word() const { return words_[at_]; }

    Result<Pipeline> parse_pipeline(int depth) {
        if (depth > kMaxDepth) return fail("the format is nested too deeply");
        Pipeline pipeline;
        parse_names(pipeline);
        do {
            auto call = parse_call(depth);
            if (!call) return fail(call.error());
            if (!pipeline.calls.empty() && call->function.empty())
                return fail("behind a | in the format there is no function");
            pipeline.calls.push_back(std::move(*call));
        } while (take(Kind::pipe));
        return pipeline;
    }

    /// "$a, $b :=", where it is there.
    void parse_names(Pipeline& pipeline) {
        std::size_t at = at_;
        std::vector<std::string> names;
        while (words_[at].kind == Kind::chain && words_[at].is_variable && words_[at].path.empty()) {
            names.push_back(words_[at++].text);
            if (words_[at].kind != Kind::comma) break;
            ++at;
        }
        if (names.empty() || (words_[at].kind != Kind::declare && words_[at].kind != Kind::assign)) return;
        pipeline.declares = words_[at].kind == Kind::declare;
        pipeline.names = std::move(names);
        at_ = at + 1;
    }

    bool take(Kind kind) {
        if (word().kind != kind) return false;
        ++at_;
        return true;
    }

    [[nodiscard]] bool at_operand() const {
        return word().kind == Kind::chain || word().kind == Kind::string || word().kind == Kind::number ||
               word().kind == Kind::open || word().kind == Kind::name;
    }

    Result<Call> parse_call(int depth) {
        Call call;
        if (word().kind == Kind::name && !is_constant(word().text)) {
            if (!is_function(word().text)) {
                return fail(fmt::format("cannot use \"{}\" in a format; the functions are {}", word().text,
                                        fmt::join(function_names(), ", ")));
            }
            call.function = word().text;
            ++at_;
        }
        while (at_operand()) {
            auto operand = parse_operand(depth);
            if (!operand) return fail(operand.error());
            call.operands.push_back(std::move(*operand));
        }
        if (call.function.empty() && call.operands.size() != 1) {
            return fail("cannot use {{" + std::string{call.operands.empty() ? "" : "…"} +
                        "}} in a format: write {{.Field}}, {{json .Field}} or another function and its arguments");
        }
        return call;
    }

    static bool is_constant(std::string_view name) { return name == "true" || name == "false" || name == "nil"; }

    Result<Operand> parse_operand(int depth) {
        const Word& word = words_[at_++];
        Operand operand;
        operand.path = word.path;
        switch (word.kind) {
            case Kind::chain:
                operand.kind = word.is_variable ? Operand::Kind::variable : Operand::Kind::dot;
                operand.variable = word.text;
                if (auto problem = unknown_field(operand)) return fail(std::move(*problem));
                return operand;
            case Kind::open: {
                auto group = parse_pipeline(depth + 1);
                if (!group) return fail(group.error());
                if (this->word().kind != Kind::close) return fail("a ( in the format has no )");
                operand.kind = Operand::Kind::group;
                operand.path = words_[at_++].path;
                operand.group.push_back(std::move(*group));
                return operand;
            }
            case Kind::name:
                if (!is_constant(word.text))
                    return fail(fmt::format(
                        "the function {} stands where a value should be in the format; put it into ( )", word.text));
                if (word.text != "nil") operand.value = word.text == "true";
                break;
            case Kind::number: {
                std::int64_t number = 0;
                std::from_chars(word.text.data(), word.text.data() + word.text.size(), number);
                operand.value = number;
                break;
            }
            default:
                operand.value = word.text;
        }
        operand.kind = Operand::Kind::literal;
        return operand;
    }

    [[nodiscard]] std::optional<std::string> unknown_field(const Operand& operand) const {
        const bool of_object = operand.kind == Operand::Kind::dot ? dot_is_object_ : operand.variable.empty();
        const std::string path = fmt::format("{}", fmt::join(operand.path, "."));
        const auto is_path = [&](std::string_view field) { return path == field || is_below(path, field); };
        if (!of_object || path.empty() || std::any_of(fields_.begin(), fields_.end(), is_path)) return std::nullopt;
        return fmt::format("there is no field .{} here; the fields are .{}", path, fmt::join(fields_, ", ."));
    }

    const std::vector<Word>& words_;
    std::span<const std::string_view> fields_;
    bool dot_is_object_;
    std::size_t at_ = 0;
};

std::string wrong_else(std::string_view word, std::string_view others) {
    return fmt::format(
        "in a format {{{{else {0}}}}} belongs to {{{{{0}}}}} alone; in a {1} write {{{{else}}}}{{{{{0} "
        "…}}}}…{{{{end}}}}{{{{end}}}}",
        word, others);
}

/// Puts pieces together into nested nodes.
class NodeParser {
public:
    NodeParser(const std::vector<Piece>& pieces, std::span<const std::string_view> fields)
        : pieces_{pieces}, fields_{fields} {}

    Result<std::vector<Node>> all() {
        auto nodes = parse_list(true, 0);
        if (nodes && stop_ != Stop::end_of_text) return fail("there is an {{end}} or {{else}} too many in the format");
        return nodes;
    }

private:
    enum class Stop { end_of_text, end, otherwise, otherwise_if, otherwise_with };

    /// Up to what stop_ says then, which is read already.
    Result<std::vector<Node>> parse_list(bool dot_is_object, int depth) {
        if (depth > kMaxDepth) return fail("the format is nested too deeply");
        std::vector<Node> nodes;
        while (at_ < pieces_.size()) {
            const Piece& piece = pieces_[at_++];
            if (!piece.is_action) {
                nodes.push_back({Node::Kind::text, piece.text, {}, {}, {}});
                continue;
            }
            auto words = words_of(piece.text);
            if (!words) return fail(words.error());
            words_ = std::move(*words);
            ActionParser action{words_, fields_, dot_is_object};
            if (action.take_name("end")) return stopped(Stop::end, action, std::move(nodes));
            if (action.take_name("else")) {
                if (!at_name("if", 1) && !at_name("with", 1)) return stopped(Stop::otherwise, action, std::move(nodes));
                stop_ = at_name("if", 1) ? Stop::otherwise_if : Stop::otherwise_with;
                return nodes;
            }
            auto node = parse_node(action, dot_is_object, depth);
            if (!node) return fail(node.error());
            nodes.push_back(std::move(*node));
        }
        stop_ = Stop::end_of_text;
        return nodes;
    }

    [[nodiscard]] bool at_name(std::string_view name, std::size_t place) const {
        return words_[place].kind == Word::Kind::name && words_[place].text == name;
    }

    Result<std::vector<Node>> stopped(Stop stop, const ActionParser& action, std::vector<Node> nodes) {
        if (!action.at_end()) return fail("there is something behind {{end}} or {{else}} in the format");
        stop_ = stop;
        return nodes;
    }

    Result<Node> parse_node(ActionParser& action, bool dot_is_object, int depth) {
        Node node;
        node.kind = action.take_name("if")      ? Node::Kind::choice
                    : action.take_name("with")  ? Node::Kind::with
                    : action.take_name("range") ? Node::Kind::range
                                                : Node::Kind::print;
        auto pipeline = action.whole();
        if (!pipeline) return fail(pipeline.error());
        node.pipeline = std::move(*pipeline);
        if (node.kind == Node::Kind::print) return node;
        auto body = parse_list(dot_is_object && node.kind == Node::Kind::choice, depth + 1);
        if (!body) return fail(body.error());
        node.body = std::move(*body);
        return with_otherwise(std::move(node), dot_is_object, depth);
    }

    Result<Node> with_otherwise(Node node, bool dot_is_object, int depth) {
        const bool chooses = stop_ == Stop::otherwise_if && node.kind == Node::Kind::choice;
        if (chooses || (stop_ == Stop::otherwise_with && node.kind == Node::Kind::with)) {
            // {{else if}} is an {{if}} in the {{else}}, which ends with the same {{end}}; in a {{with}} so is {{else
            // with}}. Go has no others.
            ActionParser action{words_, fields_, dot_is_object};
            if (!action.take_name("else")) std::abort();
            auto nested = parse_node(action, dot_is_object, depth + 1);
            if (!nested) return fail(nested.error());
            node.otherwise.push_back(std::move(*nested));
            return node;
        }
        if (stop_ == Stop::otherwise_if) return fail(wrong_else("if", "{{range}} or a {{with}}"));
        if (stop_ == Stop::otherwise_with) return fail(wrong_else("with", "{{range}} or an {{if}}"));
        if (stop_ == Stop::otherwise) {
            auto nodes = parse_list(dot_is_object, depth + 1);
            if (!nodes) return fail(nodes.error());
            node.otherwise = std::move(*nodes);
        }
        if (stop_ != Stop::end) return fail("an {{if}}, {{with}} or {{range}} in the format has no {{end}}");
        return node;
    }

    const std::vector<Piece>& pieces_;
    std::span<const std::string_view> fields_;
    std::size_t at_ = 0;
    std::vector<Word> words_;  ///< of the action read last
    Stop stop_ = Stop::end_of_text;
};

}  // namespace

Result<std::vector<Node>> parse(std::string_view text, std::span<const std::string_view> fields) {
    const auto pieces = pieces_of(text);
    if (!pieces) return fail(pieces.error());
    return NodeParser{*pieces, fields}.all();
}

}  // namespace brokerd::cli::template_syntax

#include "cli/output/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

namespace brokerd::cli {
namespace {

using namespace template_syntax;
using rapidjson::Value;

/// A value, and what keeps it: nothing where it is of the object, which lives longer than all this.
struct Held {
    std::shared_ptr<const Value> value;
    bool own = false;  ///< as in Argument
};

Held borrowed(const Value& value) {
    return {{std::shared_ptr<const Value>{}, &value}, false};
}

/// What a function has made, with its memory. It goes as soon as nobody holds it: a {{range}} over many items needs no
/// more than one over few.
struct Made {
    Memory memory{kChunkBytes};
    Value value;

    static constexpr std::size_t kChunkBytes = 1024;
};

/// Fills in a template.
class Evaluation {
public:
    Evaluation(const Value& object, ListStyle style) : object_{object}, style_{style} {}

    void run(const std::vector<Node>& nodes, const Held& dot) {
        const std::size_t known = variables_.size();
        for (const Node& node : nodes) run(node, dot);
        variables_.resize(known);
    }

    [[nodiscard]] std::string take() { return std::move(out_); }

private:
    void run(const Node& node, const Held& dot) {
        if (node.kind == Node::Kind::text) return write(node.text);
        const std::size_t known = variables_.size();
        const Held value = evaluate(node.pipeline, dot);
        if (node.kind == Node::Kind::range) {
            run_range(node, value, dot);
        } else if (node.kind == Node::Kind::print) {
            if (!node.pipeline.names.empty()) return assign(node.pipeline, {value});
            write(shown({value.value.get(), value.own}, style_));
            return;
        } else {
            assign(node.pipeline, {value});
            if (is_true(*value.value))
                run(node.body, node.kind == Node::Kind::with ? value : dot);
            else
                run(node.otherwise, dot);
        }
        variables_.resize(known);
    }

    void write(std::string_view text) {
        out_ += text;
        Template::check_size(out_.size());
    }

    /// `[i,] item :=` of a range get both; all others take one value.
    void assign(const Pipeline& pipeline, std::vector<Held> values) {
        if (pipeline.names.size() < values.size()) values.erase(values.begin());
        for (std::size_t i = 0; i < pipeline.names.size() && i < values.size(); ++i) {
            Variable* known = pipeline.declares ? nullptr : find(pipeline.names[i]);
            if (known != nullptr)
                known->value = values[i];
            else
                variables_.push_back({pipeline.names[i], values[i]});
        }
    }

    void run_range(const Node& node, const Held& list, const Held& dot) {
        const Value& value = *list.value;
        const bool has_items = (value.IsArray() && !value.Empty()) || (value.IsObject() && !value.ObjectEmpty());
        if (!has_items) return run(node.otherwise, dot);
        const std::size_t known = variables_.size();
        const auto item = [&](const Held& key, const Value& one) {
            const Held held = part_of(list, one);
            assign(node.pipeline, {key, held});
            run(node.body, held);
            variables_.resize(known);
        };
        if (value.IsArray()) {
            for (rapidjson::SizeType i = 0; i < value.Size(); ++i) item(made(Value{i}), value[i]);
            return;
        }
        // In the order of their keys, as Go does it.
        std::vector<const Value::Member*> members;
        for (const auto& member : value.GetObject()) members.push_back(&member);
        std::sort(members.begin(), members.end(), [](const auto* a, const auto* b) {
            return std::string_view{a->name.GetString()} < std::string_view{b->name.GetString()};
        });
        for (const auto* member : members) item(part_of(list, member->name), member->value);
    }

    Held evaluate(const Pipeline& pipeline, const Held& dot) {
        std::optional<Held> last;
        for (const Call& call : pipeline.calls) {
            std::vector<Held> operands;
            for (const Operand& operand : call.operands) operands.push_back(evaluate(operand, dot));
            if (last) operands.push_back(*last);
            last = call.function.empty() ? operands.front() : called(call.function, operands);
        }
        return *last;
    }

    Held called(const std::string& function, const std::vector<Held>& operands) const {
        std::vector<Argument> arguments;
        for (const Held& operand : operands) arguments.push_back({operand.value.get(), operand.own});
        const auto room = std::make_shared<Made>();
        Outcome outcome = call_function(function, arguments, style_, room->memory);
        Template::check_size(room->memory.Size());
        room->value = std::move(outcome.value);
        return {{room, &room->value}, outcome.own};
    }

    Held evaluate(const Operand& operand, const Held& dot) {
        switch (operand.kind) {
            case Operand::Kind::dot:
                return member_of(dot, operand.path);
            case Operand::Kind::variable: {
                if (operand.variable.empty()) return member_of(borrowed(object_), operand.path);
                const Variable* variable = find(operand.variable);
                return variable == nullptr ? borrowed(nothing_) : member_of(variable->value, operand.path);
            }
            case Operand::Kind::group:
                return member_of(evaluate(operand.group.front(), dot), operand.path);
            case Operand::Kind::literal:
                break;
        }
        if (const auto* text = std::get_if<std::string>(&operand.value))
            return made(Value{rapidjson::StringRef(text->data(), text->size())});
        if (const auto* number = std::get_if<std::int64_t>(&operand.value)) return made(Value{*number});
        if (const auto* truth = std::get_if<bool>(&operand.value)) return made(Value{*truth});
        return borrowed(nothing_);
    }

    Held member_of(const Held& object, const std::vector<std::string>& path) const {
        const Value* value = object.value.get();
        for (const std::string& name : path) {
            if (!value->IsObject()) return borrowed(nothing_);
            const auto member = value->FindMember(name);
            if (member == value->MemberEnd()) return borrowed(nothing_);
            value = &member->value;
        }
        return part_of(object, *value);
    }

    /// Lives as long as the whole does.
    static Held part_of(const Held& whole, const Value& part) { return {{whole.value, &part}, whole.own}; }

    /// A value of the template's own that needs no memory.
    static Held made(Value value) {
        const auto room = std::make_shared<Value>(std::move(value));
        return {room, true};
    }

    struct Variable {
        std::string name;
        Held value;
    };

    Variable* find(const std::string& name) {
        const auto found =
            std::find_if(variables_.rbegin(), variables_.rend(), [&](const Variable& one) { return one.name == name; });
        return found == variables_.rend() ? nullptr : &*found;
    }

    const Value& object_;
    const ListStyle style_;
    const Value nothing_;
    std::vector<Variable> variables_;
    std::string out_;
};

std::string capitals(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text;
}

/// The first field that a pipeline is about.
const std::string* field_of(const Pipeline& pipeline) {
    for (const Call& call : pipeline.calls) {
        for (const Operand& operand : call.operands) {
            if (!operand.path.empty()) return &operand.path.back();
            if (const std::string* field = operand.group.empty() ? nullptr : field_of(operand.group.front()))
                return field;
        }
    }
    return nullptr;
}

std::string heading_of(const std::vector<Node>& nodes) {
    std::string out;
    for (const Node& node : nodes) {
        if (node.kind == Node::Kind::text) {
            out += node.text;
        } else if (node.kind != Node::Kind::print) {
            out += heading_of(node.body);
        } else if (const std::string* field = node.pipeline.names.empty() ? field_of(node.pipeline) : nullptr) {
            out += capitals(*field);
        }
    }
    return out;
}

}  // namespace

Result<Template> Template::parse(std::string_view text, std::span<const std::string_view> fields, ListStyle style) {
    auto nodes = template_syntax::parse(text, fields);
    if (!nodes) return fail(nodes.error());
    Template result;
    result.nodes_ = std::move(*nodes);
    result.style_ = style;
    return result;
}

std::string Template::apply(const rapidjson::Value& object) const {
    Evaluation evaluation{object, style_};
    evaluation.run(nodes_, borrowed(object));
    return evaluation.take();
}

void Template::check_size(std::size_t bytes) {
    if (bytes <= kMaxText) return;
    throw std::length_error{
        fmt::format("the format makes more than {} MiB of text; leave something out of it", kMaxText >> 20)};
}

std::string Template::heading() const {
    return heading_of(nodes_);
}

}  // namespace brokerd::cli

#include "cli/output/template.h"

#include <algorithm>
#include <cctype>
#include <deque>
#include <utility>

#include "cli/output/printable.h"

namespace brokerd::cli {
namespace {

using namespace template_syntax;
using rapidjson::Value;

/// Fills in a template. Values are borrowed: from the object, or from what this has made.
class Evaluation {
public:
    Evaluation(const Value& object, ListStyle style) : object_{object}, style_{style} {}

    void run(const std::vector<Node>& nodes, const Value& dot) {
        const std::size_t known = variables_.size();
        for (const Node& node : nodes) run(node, dot);
        variables_.resize(known);
    }

    [[nodiscard]] std::string take() { return std::move(out_); }

private:
    void run(const Node& node, const Value& dot) {
        if (node.kind == Node::Kind::text) {
            out_ += node.text;
            return;
        }
        const std::size_t known = variables_.size();
        const Value& value = evaluate(node.pipeline, dot);
        if (node.kind == Node::Kind::range) {
            run_range(node, value, dot);
        } else if (node.kind == Node::Kind::print) {
            if (!node.pipeline.names.empty()) return assign(node.pipeline, {&value});
            print(value, node.pipeline);
            return;
        } else {
            assign(node.pipeline, {&value});
            if (is_true(value))
                run(node.body, node.kind == Node::Kind::with ? value : dot);
            else
                run(node.otherwise, dot);
        }
        variables_.resize(known);
    }

    void print(const Value& value, const Pipeline& pipeline) {
        const std::string text = text_of(value, style_);
        // What somebody has written himself, println's line feed, is his; JSON is made printable as JSON.
        const std::string& last = pipeline.calls.back().function;
        const bool is_json = last == "json" || value.IsObject();
        out_ += is_json ? printable_json(text) : last.substr(0, 5) == "print" ? printable_lines(text) : printable(text);
    }

    /// `[i,] item :=` of a range get both; all others take one value.
    void assign(const Pipeline& pipeline, std::vector<const Value*> values) {
        if (pipeline.names.size() < values.size()) values.erase(values.begin());
        for (std::size_t i = 0; i < pipeline.names.size() && i < values.size(); ++i) {
            Variable* known = pipeline.declares ? nullptr : find(pipeline.names[i]);
            if (known != nullptr)
                known->value = values[i];
            else
                variables_.push_back({pipeline.names[i], values[i]});
        }
    }

    void run_range(const Node& node, const Value& value, const Value& dot) {
        const bool has_items = (value.IsArray() && !value.Empty()) || (value.IsObject() && !value.ObjectEmpty());
        if (!has_items) return run(node.otherwise, dot);
        const std::size_t known = variables_.size();
        const auto item = [&](const Value& key, const Value& one) {
            assign(node.pipeline, {&key, &one});
            run(node.body, one);
            variables_.resize(known);
        };
        if (value.IsArray()) {
            for (rapidjson::SizeType i = 0; i < value.Size(); ++i) item(keep(Value{i}), value[i]);
            return;
        }
        // In the order of their keys, as Go does it.
        std::vector<const Value::Member*> members;
        for (const auto& member : value.GetObject()) members.push_back(&member);
        std::sort(members.begin(), members.end(), [](const auto* a, const auto* b) {
            return std::string_view{a->name.GetString()} < std::string_view{b->name.GetString()};
        });
        for (const auto* member : members) item(member->name, member->value);
    }

    const Value& evaluate(const Pipeline& pipeline, const Value& dot) {
        const Value* last = nullptr;
        for (const Call& call : pipeline.calls) {
            std::vector<const Value*> operands;
            for (const Operand& operand : call.operands) operands.push_back(&evaluate(operand, dot));
            if (last != nullptr) operands.push_back(last);
            last = call.function.empty()
                       ? operands.front()
                       : &keep(call_function(call.function, operands, style_, memory_.GetAllocator()));
        }
        return *last;
    }

    const Value& evaluate(const Operand& operand, const Value& dot) {
        switch (operand.kind) {
            case Operand::Kind::dot:
                return member_of(dot, operand.path);
            case Operand::Kind::variable: {
                if (operand.variable.empty()) return member_of(object_, operand.path);
                const Variable* variable = find(operand.variable);
                return variable == nullptr ? nothing_ : member_of(*variable->value, operand.path);
            }
            case Operand::Kind::group:
                return member_of(evaluate(operand.group.front(), dot), operand.path);
            case Operand::Kind::literal:
                break;
        }
        if (const auto* text = std::get_if<std::string>(&operand.value))
            return keep(Value{*text, memory_.GetAllocator()});
        if (const auto* number = std::get_if<std::int64_t>(&operand.value)) return keep(Value{*number});
        if (const auto* truth = std::get_if<bool>(&operand.value)) return keep(Value{*truth});
        return nothing_;
    }

    const Value& member_of(const Value& object, const std::vector<std::string>& path) {
        const Value* value = &object;
        for (const std::string& name : path) {
            if (!value->IsObject()) return nothing_;
            const auto member = value->FindMember(name);
            if (member == value->MemberEnd()) return nothing_;
            value = &member->value;
        }
        return *value;
    }

    const Value& keep(Value value) { return made_.emplace_back(std::move(value)); }

    struct Variable {
        std::string name;
        const Value* value;
    };

    Variable* find(const std::string& name) {
        const auto found =
            std::find_if(variables_.rbegin(), variables_.rend(), [&](const Variable& one) { return one.name == name; });
        return found == variables_.rend() ? nullptr : &*found;
    }

    const Value& object_;
    const ListStyle style_;
    const Value nothing_;
    rapidjson::Document memory_;
    std::deque<Value> made_;
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
    evaluation.run(nodes_, object);
    return evaluation.take();
}

std::string Template::heading() const {
    return heading_of(nodes_);
}

}  // namespace brokerd::cli

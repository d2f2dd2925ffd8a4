"""The corpus: every case of the suite, by topic. Expected values come from the RFCs, never from what a proxy does."""

from corpus import (accepted, accepted_heads, answers_bad, answers_good, cut_short, hop_by_hop, own_answers,
        refused_fields,
                    refused_framing, refused_lines, smuggling)

CASES = [case for module in (accepted, accepted_heads, refused_lines, refused_fields, refused_framing, smuggling,
        cut_short,
                             hop_by_hop, own_answers, answers_good, answers_bad) for case in module.CASES]

package app

import (
	"bytes"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// maxRequestErrors is how many errors of a refused request are listed: ten thousand mistakes make no megabytes of answer.
const maxRequestErrors = 20

// few cuts the errors of a response without data; the last one then says how many there were. Errors of fields stay: each
// belongs to a null.
func few(r *graphql.Response) *graphql.Response {
	if r == nil || len(r.Errors) <= maxRequestErrors || len(r.Data) > 0 && !bytes.Equal(r.Data, []byte("null")) {
		return r
	}
	more := &gqlerror.Error{
		Message:    fmt.Sprintf("and %d more errors", len(r.Errors)-maxRequestErrors),
		Extensions: map[string]any{"code": string(fault.KindInvalid)},
	}
	r.Errors = append(r.Errors[:maxRequestErrors:maxRequestErrors], more)
	return r
}

// silentRules validate without "Did you mean", which tells names to those who try some. gqlgen's own switch leaves out
// the rules for arguments, types and values.
func silentRules() *rules.Rules {
	all := rules.NewDefaultRules()
	for _, quiet := range []struct {
		loud string
		rule core.Rule
	}{
		{rules.KnownArgumentNamesRule.Name, rules.KnownArgumentNamesRuleWithoutSuggestions},
		{rules.KnownTypeNamesRule.Name, rules.KnownTypeNamesRuleWithoutSuggestions},
		{rules.ValuesOfCorrectTypeRule.Name, rules.ValuesOfCorrectTypeRuleWithoutSuggestions},
	} {
		all.RemoveRule(quiet.loud)
		all.AddRule(quiet.rule.Name, quiet.rule.RuleFunc)
	}
	return all
}

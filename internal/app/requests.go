package app

import (
	"bytes"
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
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

// oneStream refuses subscriptions to more or less than one field. The validator counts names; what an alias asks for twice, and what a directive
// leaves out, the executor finds only when it has begun, and takes for a mistake of ours.
type oneStream struct{}

// ExtensionName implements graphql.HandlerExtension.
func (oneStream) ExtensionName() string { return "OneStream" }

// Validate implements graphql.HandlerExtension.
func (oneStream) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext implements graphql.OperationContextMutator.
func (oneStream) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if op.Operation.Operation != ast.Subscription {
		return nil
	}
	fields := graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Subscription"})
	var err *gqlerror.Error
	switch len(fields) {
	case 1:
		return nil
	case 0:
		err = gqlerror.ErrorPosf(op.Operation.Position, "A subscription must select one top level field: with these variables its directives leave out all.")
	default:
		err = gqlerror.ErrorPosf(fields[1].Position, "A subscription must select only one top level field: it selects %d.", len(fields))
	}
	errcode.Set(err, errcode.ValidationFailed)
	return err
}

package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
)

// strict refuses bodies that are no GraphQL request before a transport of gqlgen sees them: those quote the whole body in
// the answer and in the log.
type strict struct{ graphql.Transport }

// Do implements graphql.Transport.
func (s strict) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	body, err := io.ReadAll(r.Body)
	if err != nil { // over the cap, which httpx.BodyCap says in our place, or the client has gone
		malformed(w, "the body cannot be read")
		return
	}
	if problem := notARequest(body); problem != "" {
		malformed(w, problem)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.Transport.Do(w, r, exec)
}

// unsupported answers what no transport takes.
type unsupported struct{}

// Supports implements graphql.Transport.
func (unsupported) Supports(*http.Request) bool { return true }

// Do implements graphql.Transport.
func (unsupported) Do(w http.ResponseWriter, r *http.Request, _ graphql.GraphExecutor) {
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET, POST")
		httpx.Problem{Status: http.StatusMethodNotAllowed, Code: string(fault.KindInvalid), Message: "send a GET or a POST"}.Write(w)
		return
	}
	// Also what a page of another origin can send without a preflight: text, forms, multipart.
	httpx.Problem{Status: http.StatusUnsupportedMediaType, Code: string(fault.KindInvalid), Message: "send Content-Type: application/json"}.Write(w)
}

func malformed(w http.ResponseWriter, message string) {
	httpx.Problem{Status: http.StatusBadRequest, Code: string(fault.KindInvalid), Message: message}.Write(w)
}

// notARequest says what is wrong with a body, by its position and never in its words; "" is a request.
func notARequest(body []byte) string {
	var request *struct {
		Query, OperationName  string
		Variables, Extensions map[string]json.RawMessage
	}
	err := json.Unmarshal(body, &request)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("the body is not JSON: it goes wrong at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Sprintf(`the body must be {"query": string, "operationName": string, "variables": object}: it is not at byte %d`, kind.Offset)
	case err != nil:
		return "the body is not JSON"
	case request == nil:
		return `the body must be {"query": string, "operationName": string, "variables": object}`
	}
	return ""
}

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

package transport

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
)

const shape = `{"query": string, "operationName": string, "variables": object, "extensions": object}`

// parts says of each part of a request what it must be, in so few words that the reason of a close has place for them.
var parts = map[string]string{
	"": "it must be an object", "Query": "query must be a string", "OperationName": "operationName must be a string",
	"Variables": "variables must be an object", "Extensions": "extensions must be an object",
}

// decode reads a request. Its error says what is wrong by its position, and never in the request's words: they may be
// anybody's, and errors are logged.
func decode(raw []byte) (*graphql.RawParams, error) {
	var in *struct {
		Query                 *string
		OperationName         string
		Variables, Extensions map[string]any
	}
	if at := malformed(raw); at >= 0 {
		return nil, fmt.Errorf("is not Unicode: half a character is at byte %d", at)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // an Int is no float64
	err := d.Decode(&in)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("is not JSON: it goes wrong at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return nil, fmt.Errorf("is wrong at byte %d: %s", kind.Offset, cmp.Or(parts[kind.Field], parts[""]))
	case err != nil:
		return nil, errors.New("is not JSON: it ends too early")
	case in == nil || in.Query == nil:
		return nil, errors.New("must be " + shape)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("is not JSON: it goes on after its end at byte %d", d.InputOffset())
	}
	if at := malformed([]byte(*in.Query)); at >= 0 { // whose strings have escapes of their own
		return nil, fmt.Errorf("is not Unicode: half a character is at byte %d of the query", at)
	}
	return &graphql.RawParams{Query: *in.Query, OperationName: in.OperationName, Variables: in.Variables, Extensions: in.Extensions}, nil
}

// read reads what is asked by POST or GET, or answers why it cannot be.
func read(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, bool) {
	refuse := func(status int, message string) (*graphql.RawParams, bool) {
		httpx.Problem{Status: status, Code: string(fault.KindInvalid), Message: message}.Write(w)
		return nil, false
	}
	switch r.Method {
	case http.MethodGet:
		p, err := query(r.URL.RawQuery)
		if err != nil {
			return refuse(http.StatusBadRequest, err.Error())
		}
		return p, true
	case http.MethodPost:
		// Types that a page of another origin can send without a preflight are none of ours: text, forms, multipart.
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != jsonType {
			return refuse(http.StatusUnsupportedMediaType, "send Content-Type: application/json")
		}
		body, err := io.ReadAll(r.Body)
		if err != nil { // over the cap, which httpx.BodyCap says in our place, or the client has gone
			return refuse(http.StatusBadRequest, "the body cannot be read")
		}
		p, err := decode(body)
		if err != nil {
			return refuse(http.StatusBadRequest, "the body "+err.Error())
		}
		return p, true
	default:
		w.Header().Set("Allow", "GET, POST")
		return refuse(http.StatusMethodNotAllowed, "send a GET or a POST")
	}
}

// malformed is the place of the first byte that is no UTF-8, or of an escape of half a surrogate pair, and -1 if there is none. Every reader
// down the line would put U+FFFD there in silence, and what somebody has written would not be what is kept.
func malformed(raw []byte) int {
	if !utf8.Valid(raw) {
		for at := 0; ; {
			r, size := utf8.DecodeRune(raw[at:])
			if r == utf8.RuneError && size <= 1 {
				return at
			}
			at += size
		}
	}
	for at := 0; ; {
		next := bytes.IndexByte(raw[at:], '\\')
		if next < 0 || at+next+1 >= len(raw) {
			return -1
		}
		at += next
		switch first := escaped(raw[at:]); {
		case first < 0:
			at += 2 // another escape, and its letter
		case !utf16.IsSurrogate(first):
			at += 6
		case utf16.DecodeRune(first, escaped(raw[at+6:])) == unicode.ReplacementChar:
			return at
		default:
			at += 12
		}
	}
}

// escaped is the code unit of the escape that text begins with, like \u00e9, and -1 if it begins otherwise.
func escaped(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// query reads a request from the query of a URL, where variables and extensions are JSON.
func query(raw string) (*graphql.RawParams, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("the query of the URL is malformed")
	}
	if !values.Has("query") {
		return nil, errors.New("the URL has no parameter query")
	}
	for name := range values {
		if at := malformed([]byte(values.Get(name))); at >= 0 {
			return nil, fmt.Errorf("the URL is not Unicode: half a character is at byte %d of a parameter", at)
		}
	}
	p := &graphql.RawParams{Query: values.Get("query"), OperationName: values.Get("operationName")}
	for name, into := range map[string]*map[string]any{"variables": &p.Variables, "extensions": &p.Extensions} {
		if !values.Has(name) {
			continue
		}
		d := json.NewDecoder(strings.NewReader(values.Get(name)))
		d.UseNumber()
		if err := d.Decode(into); err != nil || d.More() {
			return nil, fmt.Errorf("the parameter %s of the URL is not a JSON object", name)
		}
	}
	return p, nil
}

// create makes of a request what can be executed, and says in GraphQL's words what is wrong with the variables.
func create(ctx context.Context, exec graphql.GraphExecutor, p *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	op, errs := exec.CreateOperationContext(ctx, p)
	for _, e := range errs {
		if m := mismatch.FindStringSubmatch(e.Message); m != nil && len(e.Path) > 1 && e.Path[0] == ast.PathName("variable") {
			e.Message = "expected " + cmp.Or(m[1], m[2], "a value of an enum") + ", got " + kindOf(valueAt(p.Variables, e.Path[1:]))
		}
	}
	return op, errs
}

// mismatch is how the validator says that a variable is of another type, in Go's words: a number is a string to it.
var mismatch = regexp.MustCompile(`^(?:cannot use .+ as (\w+)|must be a (\w+), not a \w+|enums must be ints or strings)$`)

// valueAt is what lies at a path of the variables. One value in place of a list is a list of it.
func valueAt(variables map[string]any, path ast.Path) any {
	var at any = variables
	for _, step := range path {
		switch step := step.(type) {
		case ast.PathName:
			within, _ := at.(map[string]any)
			at = within[string(step)]
		case ast.PathIndex:
			if list, ok := at.([]any); ok {
				at = list[step]
			}
		}
	}
	return at
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		if strings.Contains(v.String(), ".") {
			return "a number with a fraction"
		}
		return "a number"
	case []any:
		return "a list"
	}
	return "an object"
}

// Package secret keeps values that must not be seen, and follows them when they change.
//
// A variable of the configuration holds a secret, or refers to one that is kept elsewhere: secretsmanager:NAME#KEY. A Keeper fetches
// what is referred to at the start, when whatever is wrong with it is told by the name of the variable, and again while the
// program runs, so that a secret can be rotated without a restart.
package secret

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// Source is where secrets are kept. An adapter needs nothing but this.
//
// Errors are the adapter's own and mean "try again", but for NotFound, and never hold a part of a secret. Fetch is safe for concurrent
// use.
type Source interface {
	// Fetch returns the text of a secret as it is now, or a NotFound fault if there is none of that name, or none with a text.
	Fetch(ctx context.Context, name string) (string, error)
}

// The sources that a reference can name.
const (
	Environment    = "env"
	SecretsManager = "secretsmanager"
)

// Ref says where a secret is kept.
type Ref struct {
	Source string
	Name   string
	Key    string // of a JSON object, whose value is the secret; "" takes the whole text
}

func (r Ref) String() string {
	if r.Key == "" {
		return r.Source + ":" + r.Name
	}
	return r.Source + ":" + r.Name + "#" + r.Key
}

var (
	refers = regexp.MustCompile(`^(` + Environment + `|` + SecretsManager + `):`)
	names  = map[string]*regexp.Regexp{
		Environment:    regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`),
		SecretsManager: regexp.MustCompile(`^[A-Za-z0-9/_+=.@!:-]{1,512}$`), // an ARN has colons
	}
)

// ParseRef reads a reference. refers is false for any other text: it is the secret itself. An error says what a reference looks
// like, and does not repeat what was given.
func ParseRef(text string) (r Ref, isRef bool, err error) {
	if !refers.MatchString(text) {
		return r, false, nil
	}
	r.Source, r.Name, _ = strings.Cut(text, ":")
	name, key, keyed := strings.Cut(r.Name, "#")
	r.Name, r.Key = name, key
	if !names[r.Source].MatchString(name) || keyed && key == "" {
		return Ref{}, true, fault.Invalid("", "must be %s:NAME or %s:NAME#KEY", r.Source, r.Source)
	}
	return r, true, nil
}

// pick takes the part of a secret's text that the reference means.
func (r Ref) pick(text string) (string, error) {
	if r.Key == "" {
		return text, nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &fields) != nil { // the error would quote it
		return "", fmt.Errorf("it is no JSON object, and has no key %q", r.Key)
	}
	raw, there := fields[r.Key]
	if !there {
		return "", fmt.Errorf("it has no key %q", r.Key)
	}
	var value string
	if json.Unmarshal(raw, &value) == nil && value != "" {
		return value, nil
	}
	var number json.Number
	if json.Unmarshal(raw, &number) == nil && number != "" {
		return number.String(), nil
	}
	return "", fmt.Errorf("its key %q holds no text", r.Key)
}

// Package envsecret keeps secrets in the environment: where a container's platform has put them.
package envsecret

import (
	"context"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/secret"
)

// Source is an environment.
type Source struct {
	lookup func(name string) (string, bool)
}

var _ secret.Source = Source{}

// New returns the source of secrets that lookup finds by the names of their variables.
func New(lookup func(name string) (string, bool)) Source { return Source{lookup} }

// Fetch implements secret.Source. A variable that is set to nothing is not set.
func (s Source) Fetch(ctx context.Context, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	text, _ := s.lookup(name)
	if text == "" {
		return "", fault.NotFound("secret " + name)
	}
	return text, nil
}

package envsecret

import (
	"sync"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/secret"
	"github.com/rapporthq/rapport/internal/platform/secret/secrettest"
)

func TestSource(t *testing.T) {
	t.Parallel()
	secrettest.Run(t, func(*testing.T) (secret.Source, func(*testing.T, string, string)) {
		var variables sync.Map
		s := New(func(name string) (string, bool) {
			text, set := variables.Load(name)
			if !set {
				return "", false
			}
			return text.(string), true
		})
		return s, func(_ *testing.T, name, text string) { variables.Store(name, text) }
	})
}

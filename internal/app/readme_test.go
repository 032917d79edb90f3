package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/testkit"
)

// The README's first query is answered as the README says.
func TestFirstQueryOfTheREADME(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(testkit.RepoRoot(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)## A first query.*?-d '({\"query\":.*?})'.*?```json\n(.*?)```").FindSubmatch(readme)
	if m == nil {
		t.Fatal("the README has no first query, or no answer to it")
	}
	var request struct{ Query string }
	var want struct{ Data any }
	if err := json.Unmarshal(m[1], &request); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(m[2], &want); err != nil {
		t.Fatal(err)
	}
	env := apptest.Demo(t)
	var got any
	env.Login(t, apptest.Coach).Must(t, request.Query, nil, &got)
	if diff := cmp.Diff(want.Data, got); diff != "" {
		t.Error(diff)
	}
}

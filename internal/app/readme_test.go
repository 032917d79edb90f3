package app_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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

// Every code that a client may meet stands in a guide.
func TestEveryCodeIsDocumented(t *testing.T) {
	t.Parallel()
	root := testkit.RepoRoot(t)
	guides, err := filepath.Glob(filepath.Join(root, "docs", "guides", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{
		// Of mails, events and jobs on their way, which are no answers to anybody.
		"EVENT_REFUSED": true, "EVENT_TOO_LARGE": true, "MAIL_PAUSED": true, "MAIL_REJECTED": true, "MAIL_SUPPRESSED": true, "MAIL_UNVERIFIED": true,
		"SUPERSEDED": true,
	}
	for _, guide := range guides {
		text, err := os.ReadFile(guide)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`([A-Z][A-Z0-9_]+)`").FindAllSubmatch(text, -1) {
			told[string(m[1])] = true
		}
	}
	given := regexp.MustCompile(`(?m)(?:WithCode\(|\bCode: +|forbidden\(w, |^\s*(?:const )?Code[A-Z]\w* += )"([A-Z][A-Z0-9_]+)"`)
	found := 0
	for _, folder := range []string{"internal/coaching", "internal/platform", "internal/transport", "internal/app", "resolvers"} {
		if err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range given.FindAllSubmatch(text, -1) {
				if found++; !told[string(m[1])] {
					t.Errorf("%s: %s is in no guide", path, m[1])
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if found < 40 {
		t.Errorf("only %d codes were found", found)
	}
}

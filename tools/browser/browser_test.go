// Package browser_test runs the checks of the explorer in a real browser.
package browser_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/testkit"
)

// The explorer's page in a real browser: signs in, queries, imports by drop zone, listens. The checks themselves are in
// explorer.test.mjs.
func TestExplorerInBrowser(t *testing.T) {
	root := testkit.RepoRoot(t)
	chromium := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if chromium == "" {
			chromium, _ = exec.LookPath(name)
		}
	}
	if chromium == "" {
		testkit.RequireComponent(t, "chromium", "no Chromium was found: install it, or set CHROMIUM to its path")
	}
	checks := filepath.Join(root, "tools", "browser")
	if _, err := os.Stat(filepath.Join(checks, "node_modules", "playwright-core")); err != nil {
		testkit.RequireComponent(t, "browser checks", "their packages are not installed: make browser")
	}
	if _, err := os.Stat(filepath.Join(root, "graphiql", "dist", "index.html")); err != nil {
		testkit.RequireComponent(t, "graphiql", "the explorer's page is not built: make graphiql")
	}
	env := apptest.Demo(t, apptest.Running())
	cmd := exec.CommandContext(t.Context(), "node", "--test", "explorer.test.mjs")
	cmd.Dir = checks
	cmd.Env = append(os.Environ(), "RAPPORT_URL="+env.URL+"/", "CHROMIUM="+chromium)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := apptest.Drop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

package app_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app"
)

// Whoever asks for help gets it, whatever the configuration; whoever is wrong learns what is wrong and how it is said.
func TestOperatorUsage(t *testing.T) {
	t.Parallel()
	everything := []string{"rapport init --organization SLUG", "rapport import FILE", "rapport audit verify", "rapport unsuppress ADDRESS", "rapport migrate", "Exit status: 0 done, 1 failed, 2 wrong usage"}
	flags := []string{"--organization ", "--owner ", "--name ", "--owner-name ", "--coach ", "--issuer ", "--subject ", "Exit status"}
	for _, tc := range []struct {
		args string
		help bool // asked for
		says []string
	}{
		{"-h", true, everything},
		{"--help", true, everything},
		{"help", true, everything},
		{"", false, everything},
		{"unit", false, append(everything, `no command "unit"`)},
		{"init -h", true, flags},
		{"init --owner x --help", true, flags},
		{"help init", true, flags},
		{"import -h", true, []string{"--session ", "--format ", "FILE"}},
		{"migrate -h", true, []string{"usage: rapport migrate\n"}},
		{"init", false, []string{"rapport init: --organization is missing", "usage: rapport init", "rapport init -h"}},
		{"init --organization acme", false, []string{"--owner is missing"}},
		{"init --organization acme --owner", false, []string{"flag needs an argument"}},
		{"init --organisation acme", false, []string{"not defined: -organisation"}},
		{"init acme", false, []string{`what is "acme"?`}},
		{"import --session session_x", false, []string{"FILE is missing"}},
		{"import talk.vtt", false, []string{"--session is missing"}},
		{"import talk.vtt more.vtt --session session_x", false, []string{`what is "more.vtt"?`}},
		{"import --session client_x talk.vtt", false, []string{"--session: "}},
		{"import --session session_01h455vb4pex5vsknk084sn02q talk.vtt --format word", false, []string{"--format: there is no word"}},
		{"audit", false, []string{"verify is missing"}},
		{"audit erase", false, []string{`what is "erase"?`}},
		{"audit verify --after 1:x", false, []string{"--after goes with --organization"}},
		{"audit verify --organization harbor --after 1:x", false, []string{"--after: "}},
		{"events -h", true, []string{"usage: rapport events [--retry | --discard]\n", "--retry", "--discard"}},
		{"events --retry --discard", false, []string{"--retry or --discard"}},
		{"config", false, []string{"show is missing"}},
		{"config print", false, []string{`what is "print"?`}},
		{"unsuppress", false, []string{"ADDRESS is missing"}},
		{"migrate now", false, []string{`what is "now"?`}},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			settings := map[string]string{"RAPPORT_HOME": t.TempDir()}
			if tc.help {
				settings["RAPPORT_MODE"] = "nonsense"
			}
			lookup := func(name string) (string, bool) { v, ok := settings[name]; return v, ok }
			var out, errs bytes.Buffer
			err := app.Operate(t.Context(), lookup, strings.Fields(tc.args), &out, &errs)
			said, silent := &errs, &out
			if tc.help {
				said, silent = &out, &errs
			}
			if wrong := errors.Is(err, app.ErrUsage); wrong == tc.help || tc.help && err != nil || silent.Len() > 0 {
				t.Errorf("err = %v, out %q, errs %q", err, &out, &errs)
			}
			for _, part := range tc.says {
				if !strings.Contains(said.String(), part) {
					t.Errorf("%q is not said in\n%s", part, said)
				}
			}
		})
	}
}

func TestOperatorTellsWhatIsMisconfigured(t *testing.T) {
	t.Parallel()
	lookup := func(name string) (string, bool) { return "nonsense", name == "RAPPORT_MODE" }
	var out bytes.Buffer
	if err := app.Operate(t.Context(), lookup, []string{"migrate"}, &out, &out); err == nil || errors.Is(err, app.ErrUsage) || !strings.Contains(err.Error(), "RAPPORT_MODE") {
		t.Errorf("err = %v, printed %q", err, &out)
	}
}

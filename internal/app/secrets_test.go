package app_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres/local"
	"github.com/rapporthq/rapport/internal/platform/secret/secretsmanager"
	"github.com/rapporthq/rapport/internal/testkit"
)

// The database's password is kept in Secrets Manager and changed while the server runs: its connections go on, new ones get in, the
// listener's too. Nothing says what it is.
func TestThePasswordIsRotated(t *testing.T) {
	t.Parallel()
	server, err := local.Start(t.Context(), local.Config{Home: testkit.Home(testkit.RepoRoot(t)), Throwaway: true})
	if err != nil {
		testkit.RequireComponent(t, "postgresql", err.Error())
	}
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	at, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := at.User.Password()
	without := *at
	without.User = url.User(at.User.Username())
	reached := aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(testkit.AWS(t)), Credentials: credentials.NewStaticCredentialsProvider(account, "test", "")}
	name := "rapport/" + id.New().String()
	put := func(password string) {
		t.Helper()
		if err := secretsmanager.Put(t.Context(), reached, name, fmt.Sprintf(`{"username": "rapport", "password": %q}`, password)); err != nil {
			t.Fatal(err)
		}
	}
	put(password)

	// The operator finds it in the environment.
	variables := map[string]string{"RAPPORT_HOME": t.TempDir(), "DATABASE_URL": without.String(), "DATABASE_PASSWORD": "env:DATABASE_SECRET#password",
		"DATABASE_SECRET": fmt.Sprintf(`{"password": %q}`, password), "RAPPORT_OPENAI_API_KEY": "sk-private"}
	lookup := func(name string) (string, bool) { v, ok := variables[name]; return v, ok }
	operate := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := app.Operate(t.Context(), lookup, args, &out, &out)
		return out.String(), err
	}
	if out, err := operate("init", "--organization", "acme", "--owner", "owner@acme.example"); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	if out, err := operate("config", "show"); err != nil || strings.Contains(out, password) || strings.Contains(out, "sk-private") ||
		!strings.Contains(out, "DATABASE_PASSWORD=env:DATABASE_SECRET#password\n") || !strings.Contains(out, "RAPPORT_OPENAI_API_KEY=[redacted]\n") {
		t.Errorf("config show: %v\n%s", err, out)
	}
	variables["DATABASE_PASSWORD"] = "env:DATABASE_SECRET#passwort"
	if out, err := operate("migrate"); err == nil || !strings.HasPrefix(err.Error(), `DATABASE_PASSWORD: the secret "DATABASE_SECRET" of env: it has no key "passwort"`) {
		t.Errorf("without the key: %v\n%s", err, out)
	}

	env := &apptest.Env{DatabaseURL: without.String(), Config: config.Config{Home: t.TempDir()}}
	inAWS := []string{"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + *reached.BaseEndpoint, "AWS_ACCESS_KEY_ID=" + account, "AWS_SECRET_ACCESS_KEY=test",
		"RAPPORT_LOG_LEVEL=debug", "DATABASE_PASSWORD=secretsmanager:" + name + "#password"}
	for ref, want := range map[string]string{
		"secretsmanager:" + name + "#passwort": `DATABASE_PASSWORD: the secret "` + name + `" of secretsmanager: it has no key "passwort"`,
		"secretsmanager:nowhere#password":      `DATABASE_PASSWORD: secretsmanager has no secret "nowhere"`,
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asServer+"=1", "RAPPORT_HOME="+env.Config.Home, "RAPPORT_ADDR=127.0.0.1:0", "DATABASE_URL="+without.String())
		// All that is missing is told at once.
		const other = `RAPPORT_OPENAI_API_KEY: secretsmanager has no secret "nothing"`
		cmd.Env = append(append(cmd.Env, inAWS...), "DATABASE_PASSWORD="+ref, "RAPPORT_OPENAI_API_KEY=secretsmanager:nothing#key")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), other) || strings.Contains(string(out), password) {
			t.Errorf("%s: %v\n%s", ref, err, out)
		}
	}

	p := startProcess(t, env, inAWS...)
	works := func() error {
		if code, body := p.Send(t, http.MethodPost, "/dev/login", http.Header{"Content-Type": {"application/json"}}, `{"email": "owner@acme.example"}`); code != http.StatusOK {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	}
	if err := works(); err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	processes := func() (pids []int) {
		t.Helper()
		rows, err := db.Query(t.Context(), `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'rapport%' ORDER BY pid`)
		if err == nil {
			pids, err = pgx.CollectRows(rows, pgx.RowTo[int])
		}
		if err != nil {
			t.Fatal(err)
		}
		return pids
	}
	newOnes := func(when string) {
		t.Helper()
		before := processes()
		if _, err := db.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) pid`, before); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, 30*time.Second, func() error {
			var listens bool
			if err := db.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'rapport%listener' AND NOT pid = ANY ($1))`, before).Scan(&listens); err != nil {
				t.Fatal(err)
			}
			if !listens {
				return fmt.Errorf("%s nobody listens", when)
			}
			return works()
		})
	}

	if _, err := db.Exec(t.Context(), `ALTER ROLE CURRENT_USER PASSWORD 'rotated-0815'`); err != nil {
		t.Fatal(err)
	}
	put("rotated-0815")
	if _, err := pgx.Connect(t.Context(), server.URL()); err == nil {
		t.Fatal("the old password still lets in")
	}
	before := processes()
	if err := works(); err != nil {
		t.Errorf("over a connection from before: %v", err)
	}
	if after := processes(); len(after) == 0 || after[0] != before[0] {
		t.Errorf("connections did not go on: %v, %v", before, after)
	}
	newOnes("after the rotation")
	p.kill()
	for _, private := range []string{password, "rotated-0815"} {
		if strings.Contains(p.log.String(), private) {
			t.Errorf("the log holds a password: %s", p.log.String())
		}
	}
	if !strings.Contains(p.log.String(), "a secret has changed") {
		t.Errorf("the log does not say that it has changed: %s", p.log.String())
	}
}

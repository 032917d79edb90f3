package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/testkit"
)

const createOnce = `mutation ($name: String!) { createClient(input: {name: $name}) { client { name } userErrors { code } } }`

// again sends a mutation with a key, to one of the servers.
func again(t *testing.T, env *apptest.Env, token, key, name string) (status int, body string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, env.URL+"/graphql", strings.NewReader(createBody(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}, "Idempotency-Key": {key}}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw), res.Header
}

func createBody(t *testing.T, name string) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"query": createOnce, "variables": map[string]any{"name": name}})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func called(t *testing.T, env *apptest.Env, name string) (n int) {
	t.Helper()
	if err := env.DB.QueryRow(t.Context(), `SELECT count(*) FROM clients WHERE name = $1`, name).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A mutation whose answer was lost, because its client's connection broke, is not done again when it is sent again, to another server: not with
// PostgreSQL and not with Redis; and everybody has keys of their own.
func TestALostAnswerDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, store := range []config.KeyStore{config.KeysInPostgres, config.KeysInRedis} {
		t.Run(string(store), func(t *testing.T) {
			t.Parallel()
			redis := testkit.Redis(t)
			keys := apptest.Config(func(c *config.Config) {
				c.Stream.RedisURL, c.Stream.IdempotencyStore = config.Secret(redis.URL()), store
			})
			here := apptest.Demo(t, keys)
			there := here.Another(t, keys)
			token := here.Login(t, apptest.Coach).Token
			const key, name = "0b2a6a3e-5f0e-4f0a-9d8e-9d2f6c1c7a11", "Quilla Marzipan"

			conn, err := net.Dial("tcp", strings.TrimPrefix(here.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			body := createBody(t, name)
			_, err = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nIdempotency-Key: \"%s\"\r\nContent-Length: %d\r\n\r\n%s",
				strings.TrimPrefix(here.URL, "http://"), token, key, len(body), body)
			if err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, recovery, func() error {
				if called(t, here, name) == 0 {
					return errors.New("it was not done")
				}
				return nil
			})
			if err := conn.Close(); err != nil { // nobody has read the answer
				t.Fatal(err)
			}
			for _, env := range []*apptest.Env{there, here} {
				status, body, header := again(t, env, token, key, name)
				if want := fmt.Sprintf(`{"data":{"createClient":{"client":{"name":%q},"userErrors":[]}}}`, name); status != http.StatusOK || body != want || header.Get("Idempotency-Replayed") != "true" {
					t.Errorf("%d %s", status, body)
				}
			}
			if status, body, _ := again(t, there, token, key, "Somebody else"); status != http.StatusUnprocessableEntity || !strings.Contains(body, "IDEMPOTENCY_KEY_REUSED") {
				t.Errorf("another payload: %d %s", status, body)
			}
			if n := called(t, here, name); n != 1 {
				t.Errorf("it was done %d times", n)
			}
			if status, body, header := again(t, here, here.Login(t, apptest.Coach2).Token, key, name); status != http.StatusOK || header.Get("Idempotency-Replayed") != "" {
				t.Errorf("another person: %d %s", status, body)
			}
			if status, body, _ := again(t, here, "", key, name); status != http.StatusUnauthorized {
				t.Errorf("nobody: %d %s", status, body)
			}
			for _, env := range []*apptest.Env{here, there} {
				if log := env.Log.String(); strings.Contains(log, key) || strings.Contains(log, "Marzipan") {
					t.Error("the log tells of it")
				}
			}
		})
	}
}

// While the Redis that keeps the answers is away, nothing with a key is done, and everything else is; then it goes on by itself.
func TestKeysWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	redis := testkit.Redis(t)
	env := apptest.Demo(t, apptest.Config(func(c *config.Config) {
		c.Stream.RedisURL, c.Stream.IdempotencyStore = config.Secret(redis.URL()), config.KeysInRedis
	}))
	coach := env.Login(t, apptest.Coach)
	const key, name = "0b2a6a3e-5f0e-4f0a-9d8e-9d2f6c1c7a11", "Quilla Marzipan"
	if status, body, _ := again(t, env, coach.Token, key, name); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	redis.Kill()
	status, body, header := again(t, env, coach.Token, key, name)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(body, "UNAVAILABLE") {
		t.Errorf("while Redis is away: %d %s", status, body)
	}
	if _, raw := env.Send(t, http.MethodGet, "/readyz", nil, ""); !strings.Contains(string(raw), "mutations with an Idempotency-Key are refused") {
		t.Errorf("readyz does not say so: %s", raw)
	}
	coach.Must(t, createOnce, apptest.Vars{"name": "Without a key"}, nil)
	if n := called(t, env, name); n != 1 {
		t.Errorf("it was done %d times", n)
	}
	redis.Start(t)
	testkit.Eventually(t, recovery, func() error {
		if status, body, _ := again(t, env, coach.Token, "another-key-of-the-coach", "After it is back"); status != http.StatusOK {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
}

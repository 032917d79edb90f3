package testkit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/textsearch/elastic/local"
)

var elastic struct {
	once sync.Once
	url  string
	err  error
}

func startElasticsearch(root string) (string, error) {
	if url := os.Getenv("RAPPORT_TEST_ELASTICSEARCH_URL"); url != "" {
		return url, nil
	}
	if lender := os.Getenv("RAPPORT_TEST_SERVERS"); lender != "" { // of tools/testrun: one for all test processes
		return borrow(lender + "/elasticsearch")
	}
	s, err := local.Start(context.Background(), local.Config{Home: Home(root), Progress: func(line string) { fmt.Fprintln(os.Stderr, "testkit: "+line) }})
	if err != nil {
		return "", err
	}
	return s.URL(), nil // it ends with this process
}

func borrow(url string) (string, error) {
	answer, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return "", err
	case answer.StatusCode == http.StatusNotFound:
		return "", fmt.Errorf("%w: %s", local.ErrUnavailable, strings.TrimSpace(string(body)))
	case answer.StatusCode != http.StatusOK:
		return "", errors.New(strings.TrimSpace(string(body)))
	}
	return string(body), nil
}

// Elasticsearch is the address of a server: the one at RAPPORT_TEST_ELASTICSEARCH_URL, or one that tests share, of this process or of
// all. Whoever makes an index there begins its name with IndexPrefix.
func Elasticsearch(t testing.TB) string {
	t.Helper()
	root := RepoRoot(t)
	elastic.once.Do(func() { elastic.url, elastic.err = startElasticsearch(root) })
	if errors.Is(elastic.err, local.ErrUnavailable) {
		RequireComponent(t, "elasticsearch", elastic.err.Error())
	} else if elastic.err != nil {
		t.Fatal(elastic.err)
	}
	return elastic.url
}

// OwnElasticsearch starts a server that is the test's alone, to be killed and frozen, and ends it with the test.
func OwnElasticsearch(t testing.TB, v local.Version) *local.Server {
	t.Helper()
	s, err := local.Start(t.Context(), local.Config{Home: Home(RepoRoot(t)), Version: v, Progress: func(line string) { fmt.Fprintln(os.Stderr, "testkit: "+line) }})
	if errors.Is(err, local.ErrUnavailable) {
		RequireComponent(t, "elasticsearch", err.Error())
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// IndexPrefix begins the names of the test's indexes on the server at url. They are removed with the test.
func IndexPrefix(t testing.TB, url string) string {
	t.Helper()
	prefix := "test-" + strings.ToLower(rand.Text())
	t.Cleanup(func() {
		// t's context is over by now.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		var indexes []struct {
			Index string `json:"index"`
		}
		if err := askServer(ctx, http.MethodGet, url+"/_cat/indices/"+prefix+"-*?format=json&h=index", &indexes); err != nil {
			t.Logf("testkit: %v", err) // the test may have ended the server
			return
		}
		for _, i := range indexes {
			if err := askServer(ctx, http.MethodDelete, url+"/"+i.Index, nil); err != nil {
				t.Errorf("testkit: %v", err)
			}
		}
	})
	return prefix
}

func askServer(ctx context.Context, method, url string, out any) error {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, url, answer.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(out)
}

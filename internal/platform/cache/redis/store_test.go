package rediscache_test

import (
	"context"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/cache"
	"github.com/rapporthq/rapport/internal/platform/cache/cachetest"
	rediscache "github.com/rapporthq/rapport/internal/platform/cache/redis"
	"github.com/rapporthq/rapport/internal/platform/redis"
	"github.com/rapporthq/rapport/internal/testkit"
)

func open(t *testing.T, at *testkit.RedisServer) *rediscache.Store {
	t.Helper()
	connect, err := redis.Connect(t.Context(), func(context.Context) string { return at.URL() })
	if err != nil {
		t.Fatal(err)
	}
	server := redis.NewServer(connect())
	t.Cleanup(server.Close)
	return rediscache.New(server)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, func(t *testing.T) cache.Store { return open(t, testkit.Redis(t)) })
}

// While Redis is away nobody can look, which is said at once, and when it is back it is used.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	at := testkit.Redis(t)
	s := open(t, at)
	at.Kill()
	for range 10 {
		if _, err := s.Get(t.Context(), "a"); err == nil {
			t.Error("it has looked")
		}
	}
	at.Start(t)
	testkit.Eventually(t, 20*time.Second, func() error { return s.Put(t.Context(), "a", []byte("1"), time.Minute) })
	if got, err := s.Get(t.Context(), "a"); err != nil || string(got) != "1" {
		t.Errorf("%q %v", got, err)
	}
}

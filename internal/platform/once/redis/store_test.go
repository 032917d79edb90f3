package redisonce_test

import (
	"context"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/once"
	"github.com/rapporthq/rapport/internal/platform/once/oncetest"
	redisonce "github.com/rapporthq/rapport/internal/platform/once/redis"
	"github.com/rapporthq/rapport/internal/platform/redis"
	"github.com/rapporthq/rapport/internal/testkit"
)

func open(t *testing.T, at *testkit.RedisServer) *redisonce.Store {
	t.Helper()
	connect, err := redis.Connect(t.Context(), func(context.Context) string { return at.URL() })
	if err != nil {
		t.Fatal(err)
	}
	server := redis.NewServer(connect())
	t.Cleanup(server.Close)
	return redisonce.New(server)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	oncetest.Run(t, func(t *testing.T) once.Store { return open(t, testkit.Redis(t)) })
}

// While Redis is away nothing is claimed, which is said at once, and when it is back it is used.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	at := testkit.Redis(t)
	s := open(t, at)
	key := once.Key{Org: id.New(), Name: "aa"}
	at.Kill()
	for range 10 {
		if _, err := s.Claim(t.Context(), key, []byte("x"), time.Minute); fault.KindOf(err) != fault.KindUnavailable {
			t.Errorf("claimed: %v", err)
		}
	}
	at.Start(t)
	testkit.Eventually(t, 20*time.Second, func() error { return s.Put(t.Context(), key, []byte("x"), time.Minute) })
}

// Package redisonce keeps in Redis what has been done once.
package redisonce

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rapporthq/rapport/internal/platform/once"
	"github.com/rapporthq/rapport/internal/platform/redis"
)

// Store implements once.Store. What Redis loses is forgotten before its time: it must write to disk, and evict nothing.
type Store struct {
	server *redis.Server
	prefix string
}

var _ once.Store = (*Store)(nil)

// New returns a store on server, whose keys begin with the prefix "rapport:once:".
func New(server *redis.Server) *Store { return &Store{server, "rapport:once:"} }

func (s *Store) key(key once.Key) string { return s.prefix + key.Org.String() + ":" + key.Name }

// Claim implements once.Store.
func (s *Store) Claim(ctx context.Context, key once.Key, value []byte, keep time.Duration) (there []byte, err error) {
	err = s.server.Ask(ctx, func(ctx context.Context, lines redis.Lines) (err error) {
		there, err = lines.SetArgs(ctx, s.key(key), value, goredis.SetArgs{Mode: "NX", Get: true, TTL: keep}).Bytes()
		return err
	})
	if errors.Is(err, goredis.Nil) { // nothing was there
		return nil, nil
	}
	return there, err
}

// Put implements once.Store.
func (s *Store) Put(ctx context.Context, key once.Key, value []byte, keep time.Duration) error {
	return s.server.Ask(ctx, func(ctx context.Context, lines redis.Lines) error {
		return lines.Set(ctx, s.key(key), value, keep).Err()
	})
}

// Forget implements once.Store.
func (s *Store) Forget(ctx context.Context, key once.Key) error {
	return s.server.Ask(ctx, func(ctx context.Context, lines redis.Lines) error { return lines.Del(ctx, s.key(key)).Err() })
}

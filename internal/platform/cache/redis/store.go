// Package rediscache keeps answers in Redis, where all processes find them.
package rediscache

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rapporthq/rapport/internal/platform/cache"
	"github.com/rapporthq/rapport/internal/platform/redis"
)

// Store implements cache.Store.
type Store struct {
	server *redis.Server
	prefix string
}

var _ cache.Store = (*Store)(nil)

// New returns a store on server, whose keys begin with the prefix "rapport:cache:".
func New(server *redis.Server) *Store { return &Store{server, "rapport:cache:"} }

// Get implements cache.Store.
func (s *Store) Get(ctx context.Context, key string) (value []byte, err error) {
	err = s.server.Ask(ctx, func(ctx context.Context, lines redis.Lines) (err error) {
		value, err = lines.Get(ctx, s.prefix+key).Bytes()
		return err
	})
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	return value, err
}

// Put implements cache.Store.
func (s *Store) Put(ctx context.Context, key string, value []byte, keep time.Duration) error {
	return s.server.Ask(ctx, func(ctx context.Context, lines redis.Lines) error {
		return lines.Set(ctx, s.prefix+key, value, keep).Err()
	})
}

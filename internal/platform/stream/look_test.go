package stream_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// The same eyes look once at a time, others for themselves; whoever leaves takes the look from nobody.
func TestLooksAreShared(t *testing.T) {
	t.Parallel()
	org, ruth, ines := id.New(), id.New(), id.New()
	coach := auth.Viewer{Org: org, User: ruth, Roles: []auth.Role{auth.RoleCoach}}
	event := stream.Delivery{Cursor: "a"}
	var looks stream.Looks[*string]
	var loaded atomic.Int64
	began, goOn := make(chan struct{}), make(chan struct{})
	load := func(context.Context) (*string, error) {
		if loaded.Add(1) == 1 {
			close(began)
		}
		<-goOn
		said := "seen"
		return &said, nil
	}
	hasty, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { _, err := looks.Look(hasty, coach, event, load); left <- err }()
	<-began
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves gets %v", err)
	}
	var joining, all sync.WaitGroup
	for range 20 {
		joining.Add(1)
		all.Go(func() {
			joining.Done()
			if got, err := looks.Look(t.Context(), coach, event, load); err != nil || *got != "seen" {
				t.Error(got, err)
			}
		})
	}
	joining.Wait()
	others := []struct {
		v auth.Viewer
		d stream.Delivery
	}{
		{auth.Viewer{Org: org, User: ines, Roles: coach.Roles}, event}, {auth.Viewer{Org: id.New(), User: ruth, Roles: coach.Roles}, event},
		{auth.Viewer{Org: org, User: ruth, Roles: []auth.Role{auth.RoleClient}}, event}, {coach, stream.Delivery{Cursor: "b"}},
	}
	mine := loaded.Load()
	for _, o := range others {
		alone := false
		_, err := looks.Look(t.Context(), o.v, o.d, func(context.Context) (*string, error) { alone = true; return nil, errors.New("no") })
		if !alone || err == nil {
			t.Errorf("%v share a look with others", o)
		}
	}
	close(goOn)
	all.Wait()
	if mine != 1 {
		t.Errorf("%d looks of the same eyes", mine)
	}
	if got, err := looks.Look(t.Context(), coach, event, func(context.Context) (*string, error) { return nil, nil }); got != nil || err != nil {
		t.Errorf("a look that is over is remembered: %v %v", got, err)
	}
}

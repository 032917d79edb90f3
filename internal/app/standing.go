package app

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/transport"
)

// reviewStreams ends, in this process, the streams of members who were revoked or have other roles now, whichever process
// changed them. It ends with the listener.
func (a *App) reviewStreams(ctx context.Context) {
	defer close(a.watched)
	wake, cancel := a.listener.Subscribe(org.Notify)
	defer cancel()
	lost, stop := a.listener.Subscribe(accessChanged)
	defer stop()
	var looking sync.WaitGroup
	defer looking.Wait()
	looking.Go(func() {
		for payload := range lost {
			a.lost(payload)
		}
	})
	for {
		select {
		case _, ok := <-wake:
			if !ok {
				return
			}
		case <-a.streams.Joined():
		}
		pause := 50 * time.Millisecond
		for !a.review(ctx) { // who was revoked must not stay because the database was away for a moment
			select {
			case _, ok := <-wake:
				if !ok {
					return
				}
			case <-time.After(pause):
				pause = min(2*pause, 5*time.Second)
			}
		}
	}
}

// accessChanged is notified with "<organization>:<id>" of a session, client or thread that somebody may no longer see, or of a session whose words they may not (migrations 63, 73 and 76).
const accessChanged = "access"

// lost has the subscriptions looked at that a notification concerns, or all of them if some may have been missed.
func (a *App) lost(payload string) {
	_, thing, _ := strings.Cut(payload, ":")
	var key id.UUID
	if key.UnmarshalText([]byte(thing)) != nil {
		a.streams.Lost()
		return
	}
	a.streams.Lost(key)
}

func (a *App) review(ctx context.Context) bool {
	viewers := a.streams.Viewers()
	if len(viewers) == 0 {
		return true
	}
	standing, err := a.services.Orgs.Standing(ctx, viewers)
	if err != nil {
		a.log.WarnContext(ctx, "cannot look at who is still a member", "err", err)
		return false
	}
	type member struct{ org, user id.UUID }
	roles := map[member][]auth.Role{}
	for _, v := range standing {
		roles[member{v.Org, v.User}] = v.Roles
	}
	looked := map[member]bool{}
	for _, v := range viewers {
		looked[member{v.Org, v.User}] = true
	}
	a.streams.Review(func(v auth.Viewer) transport.Standing {
		now, active := roles[member{v.Org, v.User}]
		switch {
		case !looked[member{v.Org, v.User}]: // came since
			return transport.Stays
		case !active:
			return transport.Gone
		case !slices.Equal(slices.Sorted(slices.Values(now)), slices.Sorted(slices.Values(v.Roles))):
			return transport.Changed
		}
		return transport.Stays
	})
	return true
}

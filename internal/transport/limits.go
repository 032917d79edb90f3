package transport

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/limit"
	"github.com/rapporthq/rapport/internal/platform/once"
)

// Limits is how much people and organizations may have at a time, and how often they may ask; zeros are no limits.
type Limits struct {
	// Limiter counts: in this process, which is the default, or over all of them.
	Limiter limit.Limiter

	Streams       Share // WebSockets that are signed in, and event streams of subscriptions
	Subscriptions Share // on all of these together
	Operations    Rates // of any kind, over any transport, whether or not they are valid
}

// Share is how much of it may be one person's, and one organization's.
type Share struct{ User, Organization int }

// Rates are how often one person may do it, and one organization.
type Rates struct{ User, Organization limit.Rate }

// resumable is when a client may come back that has too much open: a process that has died is forgotten by then, or soon.
const resumable = 5 * time.Second

// who is the two that something of a viewer's is counted for, and what they are called.
func who(v auth.Viewer) (user, organization string) {
	return v.Org.String() + ":" + v.User.String(), v.Org.String()
}

// hold counts one more of a viewer's until give is called.
func (l Limits) hold(ctx context.Context, what string, most Share, v auth.Viewer) (give func(), err error) {
	user, organization := who(v)
	var held []func()
	give = func() {
		for _, release := range held {
			release()
		}
	}
	for _, share := range []struct {
		key, whose string
		most       int
	}{
		{what + ":user:" + user, "a person", most.User},
		{what + ":org:" + organization, "an organization", most.Organization},
	} {
		if share.most <= 0 {
			continue
		}
		release, err := l.Limiter.Hold(ctx, share.key, share.most)
		if err == nil && release == nil {
			err = fault.Limited("%s can have %d %s open: close some", share.whose, share.most, what).After(resumable)
		}
		if err != nil {
			give()
			return nil, err
		}
		held = append(held, release)
	}
	return give, nil
}

// stream and subscription count one more of a viewer's until give is called.
func (l Limits) stream(ctx context.Context, v auth.Viewer) (give func(), err error) {
	return l.hold(ctx, "streams", l.Streams, v)
}

func (l Limits) subscription(ctx context.Context, v auth.Viewer) (give func(), err error) {
	return l.hold(ctx, "subscriptions", l.Subscriptions, v)
}

// operation counts one more operation of a viewer's, or says that it is one too many. One that is too many for the organization still
// counts for the person.
func (l Limits) operation(ctx context.Context, v auth.Viewer) error {
	user, organization := who(v)
	for _, share := range []struct {
		key, whose string
		rate       limit.Rate
	}{
		{"operations:user:" + user, "a person", l.Operations.User},
		{"operations:org:" + organization, "an organization", l.Operations.Organization},
	} {
		if !share.rate.Limits() {
			continue
		}
		wait, err := l.Limiter.Allow(ctx, share.key, share.rate)
		if err != nil {
			return err
		}
		if wait > 0 {
			return fault.Limited("%s can send %d operations in %s: wait", share.whose, share.rate.Count, share.rate.Per).
				WithCode("RATE_LIMITED").After(wait)
		}
	}
	return nil
}

// turnAway answers a request that is not run: one too many, one that was sent before, or one of which nobody can say that now.
func turnAway(w http.ResponseWriter, err error) {
	p := httpx.Problem{Status: http.StatusServiceUnavailable, Code: string(fault.KindUnavailable), Message: "try again later"}
	seconds := cmp.Or(fault.RetryAfter(err), 1)
	if all := fault.All(err); len(all) > 0 {
		p.Code, p.Message = cmp.Or(all[0].Code, string(all[0].Kind)), all[0].Message
	}
	switch fault.KindOf(err) {
	case fault.KindLimited:
		p.Status = http.StatusTooManyRequests
	case fault.KindInvalid:
		p.Status, seconds = http.StatusBadRequest, 0
	case fault.KindConflict:
		p.Status, seconds = http.StatusConflict, fault.RetryAfter(err)
		if p.Code == once.CodeReused {
			p.Status = http.StatusUnprocessableEntity
		}
	}
	if seconds > 0 {
		p.Extensions = map[string]any{"retryAfter": seconds}
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	p.Write(w)
}

package transport

import (
	"net/http"
	"sync"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Limits is how much a process carries at a time; zeros are no limits.
type Limits struct {
	Streams       Share // WebSockets that are signed in, and event streams of subscriptions
	Subscriptions Share // on all of these together
}

// Share is how much of it may be one person's, and one organization's.
type Share struct{ User, Organization int }

// held counts what is open of one kind.
type held struct {
	what string
	most Share

	mu    sync.Mutex
	users map[person]int
	orgs  map[id.UUID]int
}

// person is somebody in an organization.
type person struct{ org, user id.UUID }

func newHeld(what string, most Share) *held {
	return &held{what: what, most: most, users: map[person]int{}, orgs: map[id.UUID]int{}}
}

// full says why a viewer can have no more, if that is so.
func (h *held) full(v auth.Viewer) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reached(v)
}

func (h *held) reached(v auth.Viewer) error {
	if most := h.most.User; most > 0 && h.users[person{v.Org, v.User}] >= most {
		return fault.Limited("a server holds %d %s for a person: close some", most, h.what)
	}
	if most := h.most.Organization; most > 0 && h.orgs[v.Org] >= most {
		return fault.Limited("a server holds %d %s for an organization: close some", most, h.what)
	}
	return nil
}

// take counts one more of a viewer's until give is called, once.
func (h *held) take(v auth.Viewer) (give func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.reached(v); err != nil {
		return nil, err
	}
	who := person{v.Org, v.User}
	h.users[who]++
	h.orgs[v.Org]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.users[who]--; h.users[who] == 0 {
			delete(h.users, who)
		}
		if h.orgs[v.Org]--; h.orgs[v.Org] == 0 {
			delete(h.orgs, v.Org)
		}
	}, nil
}

// tooMany answers a request for a stream that would be one too many.
func tooMany(w http.ResponseWriter, reached error) {
	w.Header().Set("Retry-After", "5")
	httpx.Problem{Status: http.StatusTooManyRequests, Code: string(fault.KindOf(reached)), Message: reached.Error()}.Write(w)
}
